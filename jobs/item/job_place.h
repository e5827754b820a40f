#pragma once

#include <string>

#include "jobs/item/job.h"

namespace mmbatch {

/// How messages about a job begin: "job 'a': ". Nothing for a job without a name, which a command made of its
/// options: the user wrote none.
std::string place_of(const Job& job);

/// With the manifest's file in front, where there is one.
std::string place_of(const Manifest& manifest, const Job& job);

}  // namespace mmbatch
