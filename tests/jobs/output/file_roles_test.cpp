#include "jobs/output/file_roles.h"

#include <gmock/gmock.h>

#include <functional>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string fault(const std::function<void(FileRoles&)>& roles) {
  return error_of<UsageError>([&] {
    FileRoles files;
    roles(files);
    files.check();
  });
}

TEST(FileRoles, AnOutputIsNoInputWhateverItIsCalled) {
  const TempFolder folder;
  const auto input = folder.write("m.yaml", "jobs: []");
  fs::create_hard_link(input, folder / "hard.yaml");
  fs::create_symlink("m.yaml", folder / "soft.yaml");
  fs::create_directory_symlink(folder.path(), folder / "again");
  for (const char* name : {"m.yaml", "hard.yaml", "soft.yaml", "again/m.yaml", "again/again/./m.yaml"}) {
    EXPECT_THAT(
        fault([&](FileRoles& files) {
          files.reads("the manifest", input);
          files.writes("--summary-json", folder / name);
        }),
        AllOf(HasSubstr("--summary-json"), HasSubstr(name), HasSubstr("the manifest"), HasSubstr("m.yaml")))
        << name;
  }
  EXPECT_EQ(fault([&](FileRoles& files) {
              files.reads("the manifest", input);
              files.writes("--summary-json", folder / "s.json");
            }),
            "");
}

TEST(FileRoles, TwoOutputsThatAreNotThereYetAreToldApart) {
  const TempFolder folder;
  fs::create_directory_symlink(folder.path(), folder / "again");
  fs::create_symlink("new.json", folder / "leads-nowhere-yet");
  for (const char* name : {"new.json", "again/new.json", "leads-nowhere-yet", "./again/./new.json"}) {
    EXPECT_NE(fault([&](FileRoles& files) {
                files.writes("--summary-json", folder / "new.json");
                files.writes("--profile", folder / name);
              }),
              "")
        << name;
  }
  EXPECT_EQ(fault([&](FileRoles& files) {
              files.writes("--summary-json", folder / "new.json");
              files.writes("--profile", folder / "again/../new.json");  // which is beside the folder
            }),
            "");
}

TEST(FileRoles, ADatabaseHasFilesBesideIt) {
  const TempFolder folder;
  const auto listing = folder.write("items.jsonl", "{}");
  for (const char* ending : {"", "-wal", "-shm", "-journal", ".lock"}) {
    const std::string name = std::string("r.db") + ending;
    EXPECT_NE(fault([&](FileRoles& files) {
                files.writes_database(folder / "r.db");
                files.writes("--profile", folder / name);
              }),
              "")
        << name;
  }
  fs::create_symlink("real.db", folder / "link.db");
  EXPECT_NE(fault([&](FileRoles& files) {
              files.writes_database(folder / "link.db");
              files.writes("--profile", folder / "real.db-wal");
            }),
            "");
  EXPECT_NE(fault([&](FileRoles& files) {
              files.reads("the listing", listing);
              files.writes_database(listing);
            }),
            "");
}

TEST(FileRoles, AModelsFilesAreInputs) {
  const TempFolder folder;
  folder.write("model/config.json", "{}");
  EXPECT_THAT(fault([&](FileRoles& files) {
                files.reads_folder("the model", folder / "model");
                files.writes("--metrics-file", folder / "model" / "config.json");
              }),
              HasSubstr("a file of the model"));
}

TEST(FileRoles, ImagesAreNotOverwritten) {
  const TempFolder folder;
  for (const std::string begin : {"\x89PNG\r\n", "\xFF\xD8\xFF\xE0", "GIF89a"}) {
    EXPECT_THAT(
        fault([&](FileRoles& files) { files.writes("--profile", folder.write("p.json", begin + "...")); }),
        HasSubstr("image"));
  }
}

TEST(FileRoles, WhatCannotBeWrittenIsKnownBeforehandAndWhy) {
  const TempFolder folder;
  folder.write("file", "");
  const auto said = [&](const fs::path& file) {
    return fault([&](FileRoles& files) { files.writes("--profile", file); });
  };
  EXPECT_THAT(said(folder / "none/p.json"), HasSubstr("No such file"));
  EXPECT_THAT(said(folder / "file/p.json"), HasSubstr("Not a directory"));
  EXPECT_THAT(said(folder.path()), HasSubstr("Is a directory"));
  EXPECT_EQ(said(folder / "file"), "");
}

TEST(FileRoles, DevicesMayBeGivenTwice) {
  EXPECT_EQ(fault([&](FileRoles& files) {
              files.writes("--summary-json", "/dev/null");
              files.writes("--profile", "/dev/null");
              files.writes_locked("--output", "");  // which was not given
            }),
            "");
}

}  // namespace
}  // namespace mmbatch
