#include "engine/weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::TensorFile;
using testing::write_file;

void write_tensor(const std::filesystem::path& file, const std::string& name) {
  TensorFile tensors;
  tensors.add(name, {2, 1}, {1, 2});
  tensors.write(file);
}

std::string error_of(const TemporaryFolder& folder) {
  return message_of<ModelError>([&] { Checkpoint{folder.path()}; });
}

TEST(Checkpoint, ShardsAreOneCheckpoint) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "one.safetensors", "a.x");
  write_tensor(folder.path() / "two.safetensors", "b.x");
  write_file(folder.path() / "model.safetensors.index.json",
             R"({"metadata":{},"weight_map":{"a.x":"one.safetensors","b.x":"two.safetensors"}})");
  const Checkpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.files().size(), 2u);
  EXPECT_EQ(to_floats(checkpoint.tensor("b.x", {2, 1})), (std::vector<float>{1, 2}));
  EXPECT_EQ(checkpoint.prefix_of("x", {"c.", "b."}), "b.");
  EXPECT_TRUE(checkpoint.has_below("a."));
  EXPECT_FALSE(checkpoint.has_below("a.y"));
  EXPECT_THAT(message_of<ModelError>([&] {
                checkpoint.tensor("b.x", {1, 2});
              }),
              AllOf(HasSubstr("'b.x'"), HasSubstr("expected shape [1, 2]"), HasSubstr("found [2, 1]")));
  EXPECT_THAT(message_of<ModelError>([&] { checkpoint.tensor("c"); }), HasSubstr("'c' is missing"));
  EXPECT_THAT(message_of<ModelError>([&] {
                checkpoint.prefix_of("y", {"", "b."});
              }),
              HasSubstr("none of the tensors 'y', 'b.y' is there"));
}

TEST(Checkpoint, ShardsStayInsideTheFolder) {
  for (const char* shard :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "a\\u0000b"}) {
    const TemporaryFolder folder;
    write_file(folder.path() / "model.safetensors.index.json",
               std::string(R"({"weight_map":{"a":")") + shard + R"("}})");
    EXPECT_THAT(error_of(folder), HasSubstr("index.json: shard '")) << shard;
  }
}

TEST(Checkpoint, BrokenFoldersAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder), HasSubstr("neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_THAT(message_of<ModelError>([&] { Checkpoint{folder.path() / "none"}; }),
              HasSubstr("no such folder"));
  write_file(folder.path() / "pytorch_model.bin", "x");
  EXPECT_THAT(error_of(folder),
              AllOf(HasSubstr("pytorch_model.bin, a pickle"), HasSubstr("safe_serialization")));
  write_file(folder.path() / "a.gguf", "GGUF");
  EXPECT_THAT(error_of(folder), HasSubstr("found a.gguf, a GGUF file"));
  const auto given = [&](const char* name) {
    write_file(folder.path() / name, "x");
    return message_of<ModelError>([&] { Checkpoint{folder.path() / name}; });
  };
  EXPECT_THAT(given("b.gguf"), AllOf(HasSubstr("b.gguf: a GGUF file"), HasSubstr("safetensors files only")));
  for (const char* name : {"b.bin", "b.pt", "b.pth", "b.ckpt"}) {
    EXPECT_THAT(given(name), HasSubstr("a pickle file")) << name;
  }
  EXPECT_THAT(given("b.safetensors"), HasSubstr("give the folder"));
  EXPECT_THAT(given("config.yaml"), HasSubstr("a file; a checkpoint is a folder"));
  const TemporaryFolder adapter;
  write_file(adapter.path() / "adapter_model.safetensors", "x");
  EXPECT_THAT(error_of(adapter), AllOf(HasSubstr("an adapter"), HasSubstr("merge")));
  const auto index = folder.path() / "model.safetensors.index.json";
  write_file(index, R"({"weight_map":{}})");
  EXPECT_THAT(error_of(folder), HasSubstr("names no shard"));
  write_file(index, R"({"weight_map":{"a":3}})");
  EXPECT_THAT(error_of(folder), HasSubstr("'weight_map.a': expected a string"));
  write_file(index, R"({"weight_map":{"a":"one.safetensors"}})");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("one.safetensors"), HasSubstr("cannot open")));
  std::filesystem::create_directory(folder.path() / "one.safetensors");
  EXPECT_THAT(error_of(folder), HasSubstr("regular file"));
}

TEST(Checkpoint, ATensorIsStoredOnce) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "1.safetensors", "a");
  write_tensor(folder.path() / "2.safetensors", "a");
  write_file(folder.path() / "model.safetensors.index.json",
             R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  EXPECT_THAT(error_of(folder), HasSubstr("'a' is stored in another shard too"));
}

TEST(Checkpoint, UnsupportedTypesAreNamedWhenNeeded) {
  const TemporaryFolder folder;
  write_file(folder.path() / "model.safetensors",
             testing::safetensors_bytes(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"));
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(message_of<ModelError>([&] { checkpoint.tensor("a"); }),
              HasSubstr("stored as I8; supported are F32, F16 and BF16"));
}

}  // namespace
}  // namespace mmbatch
