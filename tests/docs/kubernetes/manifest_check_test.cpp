#include "tests/docs/kubernetes/manifest_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace mmbatch::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string schema() {
  return content_of(std::filesystem::path(MMBATCH_TEST_DATA).parent_path() / "docs/kubernetes/schema.yaml");
}

/// The page's own manifest with something changed.
std::string changed(const std::string& from, const std::string& to) {
  const auto page = std::filesystem::path(MMBATCH_DEMO).parent_path() / "docs/cluster.md";
  std::string manifest = manifests_of_page(content_of(page)).at(0);
  const std::size_t at = manifest.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return manifest.replace(at, from.size(), to);
}

TEST(KubernetesManifests, OfTheDocumentationAreWhatTheApiTakes) {
  std::size_t found = 0;
  const auto docs = std::filesystem::path(MMBATCH_DEMO).parent_path() / "docs";
  for (const auto& page : std::filesystem::directory_iterator(docs)) {
    if (page.path().extension() != ".md") continue;
    for (const std::string& manifest : manifests_of_page(content_of(page.path()))) {
      ++found;
      EXPECT_THAT(problems_of_manifests(manifest, schema()), IsEmpty()) << page.path();
    }
  }
  EXPECT_GE(found, 1u);
}

TEST(KubernetesManifests, MistakesAreFound) {
  const auto problems = [](const std::string& from, const std::string& to) {
    return problems_of_manifests(changed(from, to), schema());
  };
  EXPECT_THAT(problems("completions: 8", "completion: 8"),
              ElementsAre(HasSubstr("spec.completion: JobSpec has no such field")));
  EXPECT_THAT(problems("completions: 8", "completions: eight"), ElementsAre(HasSubstr("must be int")));
  EXPECT_THAT(problems("  completions: 8\n", ""), ElementsAre(HasSubstr("must have completions")));
  EXPECT_THAT(problems("restartPolicy: OnFailure", "restartPolicy: Always"),
              ElementsAre(HasSubstr("must be OnFailure | Never")));
  EXPECT_THAT(problems("memory: 32Gi", "memory: 32GB"), ElementsAre(HasSubstr("must be quantity")));
  EXPECT_THAT(problems("batch/v1", "batch/v1beta1"), ElementsAre(HasSubstr("must be batch/v1")));
  EXPECT_THAT(problems("name: data, mountPath", "name: date, mountPath"),
              ElementsAre(HasSubstr("no volume is named 'date'")));
  EXPECT_THAT(problems("          image: registry.example/mmbatch:latest\n", ""),
              ElementsAre(HasSubstr("Container must have image")));
  EXPECT_THAT(problems("metadata:\n  name: mmbatch", "metadata:\n  name: 7"),
              ElementsAre(HasSubstr("must be string")));
}

}  // namespace
}  // namespace mmbatch::testing
