#pragma once

#include <string>
#include <vector>

namespace mmbatch::testing {

/// What is wrong with Kubernetes manifests, each problem with its place: "line 12: spec.replicas: JobSpec has
/// no such field". Fields and types are those of schema.yaml; beside them, volumes must be there for every
/// mount, and an indexed Job must say how many completions it has.
/// @param manifests documents of YAML
std::vector<std::string> problems_of_manifests(const std::string& manifests, const std::string& schema);

/// The blocks of YAML of a page of the documentation that are Kubernetes manifests.
std::vector<std::string> manifests_of_page(const std::string& markdown);

}  // namespace mmbatch::testing
