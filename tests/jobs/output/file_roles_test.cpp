#include "jobs/output/file_roles.h"

#include <gmock/gmock.h>

#include <functional>

#include "engine/base/output/output_error.h"
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
  const auto said = [&](const ModelPlace& model, const std::string& name) {
    return fault([&](FileRoles& files) {
      files.reads(model);
      files.writes("--metrics-file", folder / name);
    });
  };
  for (const char* name : {"model/config.json", "model/additional_chat_templates/rag.jinja",
                           "gguf/m-00001-of-00002.gguf", "gguf/m-00002-of-00002.gguf", "gguf/mmproj-m.gguf",
                           "other/mmproj.gguf", "lora/adapter_model.safetensors"})
    folder.write(name, "x");
  for (const char* name : {"model/config.json", "model/additional_chat_templates/rag.jinja"})
    EXPECT_THAT(said(folder / "model", name), HasSubstr("of the model"));
  for (const char* name :
       {"gguf/m-00001-of-00002.gguf", "gguf/m-00002-of-00002.gguf", "gguf/mmproj-m.gguf"}) {
    EXPECT_THAT(said(folder / "gguf/m-00001-of-00002.gguf", name), HasSubstr("the model"));
    EXPECT_THAT(said(folder / "gguf", name), HasSubstr("the model"));
  }
  const ModelParts parts{.projector = folder / "other/mmproj.gguf", .adapters = {{folder / "lora"}}};
  EXPECT_THAT(said({folder / "gguf", parts}, "other/mmproj.gguf"), HasSubstr("--mmproj"));
  EXPECT_THAT(said({folder / "gguf", parts}, "lora/adapter_model.safetensors"), HasSubstr("--lora"));
  // Its folder may be the one that work is done in.
  folder.write("model/summary.json", "{}");
  EXPECT_EQ(said(folder / "model", "model/summary.json"), "");
}

TEST(FileRoles, AllFilesOfReferenceFoldersAreInputs) {
  std::size_t count = 0;
  for (const auto& reference : fs::directory_iterator(fs::path(MMBATCH_TEST_DATA) / "reference")) {
    const fs::path model = reference.path() / "model";
    if (!fs::is_directory(model)) continue;
    for (const auto& entry : fs::directory_iterator(model)) {
      if (!entry.is_regular_file()) continue;
      EXPECT_NE(fault([&](FileRoles& files) {
                  files.reads(ModelPlace(model));
                  files.writes("--summary-json", entry.path());
                }),
                "")
          << entry.path();
      ++count;
    }
  }
  EXPECT_GT(count, 100u);
}

TEST(FileRoles, ImagesAreNotOverwritten) {
  const TempFolder folder;
  using namespace std::string_literals;
  const std::string bmp = "BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"s;
  for (const std::string& begin :
       {"\x89PNG\r\n"s, "\xFF\xD8\xFF\xE0"s, "GIF89a"s, bmp, "\x1A\x45\xDF\xA3"s}) {
    EXPECT_THAT(
        fault([&](FileRoles& files) { files.writes("--profile", folder.write("p.json", begin + "...")); }),
        HasSubstr("image"));
  }
  EXPECT_EQ(fault([&](FileRoles& files) {
              files.writes("--profile", folder.write("p.json", "BMW drivers, all of them"));
            }),
            "");
}

TEST(FileRoles, WhatCannotBeWrittenIsKnownBeforehandAndWhy) {
  const TempFolder folder;
  folder.write("file", "");
  const auto said = [&](const fs::path& file) {
    return error_of<OutputError>([&] {
      FileRoles files;
      files.writes("--profile", file);
      files.check();
    });
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
