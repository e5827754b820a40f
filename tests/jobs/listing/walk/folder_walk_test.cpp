#include "jobs/listing/walk/folder_walk.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

std::vector<std::string> walked(const std::filesystem::path& folder, const std::string& pattern) {
  FolderWalk walk(folder, pattern);
  std::vector<std::string> names;
  while (const auto found = walk.next()) names.push_back(found->name + found->problem);
  return names;
}

struct Tree : TempFolder {
  Tree() {
    for (const char* name : {"b.png", "a/x.png", "a/x.txt", "a/c/deep.png", "z/c/y.png", ".hidden/h.png"}) {
      std::filesystem::create_directories((path() / name).parent_path());
      write(name, "");
    }
    std::filesystem::create_directory_symlink(path() / "a", path() / "link");
  }
};

TEST(FolderWalk, FindsFilesInAnyDepth) {
  const Tree tree;
  EXPECT_THAT(walked(tree.path(), "**/*.png"), ElementsAre("a/c/deep.png", "a/x.png", "b.png", "z/c/y.png"));
  EXPECT_THAT(walked(tree.path(), "**/c/*.png"), ElementsAre("a/c/deep.png", "z/c/y.png"));
  EXPECT_THAT(walked(tree.path(), "a/**"), ElementsAre("a/c/deep.png", "a/x.png", "a/x.txt"));
  EXPECT_THAT(walked(tree.path(), "**/.hidden/*"), ElementsAre(".hidden/h.png"));
  EXPECT_THAT(walked(tree.path(), "**/a/**/**/deep.*"), ElementsAre("a/c/deep.png"));
  EXPECT_THAT(walked(tree.path() / "none", "**/*"), ElementsAre(HasSubstr("cannot be read")));
}

TEST(FolderWalk, IsAListing) {
  const Tree tree;
  const auto file = tree.write("m.yaml", "jobs: [{name: j, task: vqa, question: q, items: '**/*.png'}]");
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].item->id, "a/c/deep.png");
  EXPECT_EQ(items[0].item->images.at(0).path, tree / "a/c/deep.png");
}

TEST(FolderWalk, DepthIsBounded) {
  const TempFolder folder;
  std::filesystem::path deep = folder.path();
  for (int i = 0; i < 70; ++i) deep /= "d";
  std::filesystem::create_directories(deep);
  EXPECT_THAT(walked(folder.path(), "**/*.png"), ElementsAre(HasSubstr("more than 64 folders deep")));
}

}  // namespace
}  // namespace mmbatch
