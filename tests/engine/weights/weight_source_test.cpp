#include "engine/weights/safetensors_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "engine/base/error.h"
#include "engine/weights/derived.h"
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
  return message_of<ModelError>([&] { SafetensorsFolder{folder.path()}; });
}

/// Stored in a form, whose elements are all 7.
class Sevens : public StoredForm {
 public:
  std::string_view name() const override { return "sevens"; }
  std::size_t bytes() const override { return 1; }
  void read(std::size_t, std::size_t count, float* out) const override { std::fill_n(out, count, 7.0f); }
};

TEST(Tensor, NumbersInItsPlaceAreReadAndNotItsForm) {
  const TensorView stored{.name = "a", .shape = {3, 2}, .form = std::make_shared<const Sevens>(), .first = 4};
  EXPECT_EQ(to_floats(stored), std::vector<float>(6, 7));
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const TensorView replaced = with_values(stored, {2, 3}, values);
  EXPECT_EQ(to_floats(replaced), values);
  EXPECT_EQ(replaced.name, "a");
  EXPECT_EQ(replaced.cols(), 3u);
  EXPECT_FALSE(is_quantized(replaced));
}

TEST(WeightSource, ShardsAreOneCheckpoint) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "one.safetensors", "a.x");
  write_tensor(folder.path() / "two.safetensors", "b.x");
  write_file(folder.path() / "model.safetensors.index.json",
             R"({"metadata":{},"weight_map":{"a.x":"one.safetensors","b.x":"two.safetensors"}})");
  const SafetensorsFolder checkpoint(folder.path());
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

TEST(WeightSource, DamagedTensorsAreToldWithTheirShard) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "one.safetensors", "a.x");
  TensorFile damaged;
  damaged.add("b.x", {2, 1}, {1, std::numeric_limits<float>::quiet_NaN()});
  damaged.write(folder.path() / "two.safetensors");
  write_file(folder.path() / "model.safetensors.index.json",
             R"({"weight_map":{"a.x":"one.safetensors","b.x":"two.safetensors"}})");
  const SafetensorsFolder checkpoint(folder.path());
  const std::string expected = (folder.path() / "two.safetensors").string() + ": tensor 'b.x' has values";
  EXPECT_THAT(message_of<ModelError>([&] { to_floats(checkpoint.tensor("b.x")); }), HasSubstr(expected));
  EXPECT_THAT(message_of<ModelError>([&] { checkpoint.fingerprint(FingerprintScope::all_bytes); }),
              HasSubstr(expected));
  // What was made of it lies in no file of its own.
  const TensorView turned = transposed(checkpoint.tensor("b.x"), "turned");
  EXPECT_THAT(message_of<ModelError>([&] { to_floats(turned); }),
              HasSubstr("two.safetensors: tensor 'turned' has values"));
  EXPECT_THAT(
      message_of<ModelError>([&] { to_floats(filled("odd", {1}, std::numeric_limits<float>::infinity())); }),
      ::testing::StartsWith("tensor 'odd' has values"));
}

TEST(WeightSource, ShardsStayInsideTheFolder) {
  for (const char* shard :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "a\\u0000b"}) {
    const TemporaryFolder folder;
    write_file(folder.path() / "model.safetensors.index.json",
               std::string(R"({"weight_map":{"a":")") + shard + R"("}})");
    EXPECT_THAT(error_of(folder), HasSubstr("index.json: shard '")) << shard;
  }
}

TEST(WeightSource, BrokenFoldersAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder), HasSubstr("neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_THAT(message_of<ModelError>([&] { SafetensorsFolder{folder.path() / "none"}; }),
              HasSubstr("no such folder"));
  write_file(folder.path() / "pytorch_model.bin", "x");
  EXPECT_THAT(error_of(folder),
              AllOf(HasSubstr("pytorch_model.bin, a pickle"), HasSubstr("safe_serialization")));
  write_file(folder.path() / "a.gguf", "GGUF");
  EXPECT_THAT(error_of(folder), HasSubstr("found a.gguf, a GGUF file"));
  const auto given = [&](const char* name) {
    write_file(folder.path() / name, "x");
    return message_of<ModelError>([&] { SafetensorsFolder{folder.path() / name}; });
  };
  EXPECT_THAT(given("b.gguf"), AllOf(HasSubstr("b.gguf: a GGUF file"), HasSubstr("GGUF files only")));
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

TEST(WeightSource, ATensorIsStoredOnce) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "1.safetensors", "a");
  write_tensor(folder.path() / "2.safetensors", "a");
  write_file(folder.path() / "model.safetensors.index.json",
             R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  EXPECT_THAT(error_of(folder), HasSubstr("'a' is stored in another file too"));
}

TEST(WeightSource, OwnsConfigSmallFilesAndFingerprint) {
  const TemporaryFolder folder;
  write_tensor(folder.path() / "model.safetensors", "a");
  const auto weights = open_weights(folder.path());
  EXPECT_EQ(weights->path(), folder.path());
  EXPECT_THAT(message_of<ModelError>([&] { weights->config(); }), HasSubstr("config.json"));
  write_file(folder.path() / "config.json", R"({"model_type":"x"})");
  EXPECT_EQ(weights->config().text("model_type", ""), "x");
  EXPECT_FALSE(weights->has_file("generation_config.json"));
  EXPECT_FALSE(weights->json_file("generation_config.json").has("eos_token_id"));
  write_file(folder.path() / "generation_config.json", R"({"eos_token_id":7})");
  EXPECT_TRUE(weights->has_file("generation_config.json"));
  EXPECT_EQ(weights->json_file("generation_config.json").integer("eos_token_id", 0), 7);
  EXPECT_EQ(weights->fingerprint(FingerprintScope::samples),
            folder_fingerprint(folder.path(), FingerprintScope::samples));
  ASSERT_EQ(weights->files().size(), 1u);
  EXPECT_EQ(weights->files()[0].name, "model.safetensors");
  EXPECT_EQ(weights->files()[0].tensors, 1u);
  EXPECT_FALSE(weights->packed());
}

TEST(WeightSource, PackedFoldersHoldOnePackedFile) {
  const std::string packed = testing::safetensors_bytes(
      R"({"__metadata__":{"mmbatch.layout":"2","mmbatch.packed":"int8","mmbatch.smoothed":"alpha 0.5","packed:a":"int8 8 8"},)"
      R"("a":{"dtype":"U8","shape":[64],"data_offsets":[0,64]}})",
      std::string(64, '\1'));
  const TemporaryFolder folder;
  write_file(folder.path() / "model.safetensors", packed);
  const auto weights = open_weights(folder.path());
  EXPECT_EQ(weights->packed(), Precision::int8);
  EXPECT_EQ(weights->smoothed(), "alpha 0.5");
  EXPECT_EQ(weights->tensor("a", {8, 8}).packed, Precision::int8);
  const TemporaryFolder shards;
  write_file(shards.path() / "1.safetensors", packed);
  write_tensor(shards.path() / "0.safetensors", "b");
  write_file(shards.path() / "model.safetensors.index.json",
             R"({"weight_map":{"a":"1.safetensors","b":"0.safetensors"}})");
  EXPECT_THAT(message_of<ModelError>([&] { open_weights(shards.path()); }),
              AllOf(HasSubstr("1.safetensors"), HasSubstr("packed by mmbatch quantize")));
}

TEST(WeightSource, UnsupportedTypesAreNamedWhenNeeded) {
  const TemporaryFolder folder;
  write_file(folder.path() / "model.safetensors",
             testing::safetensors_bytes(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"));
  const SafetensorsFolder checkpoint(folder.path());
  EXPECT_THAT(message_of<ModelError>([&] { checkpoint.tensor("a"); }),
              HasSubstr("stored as I8; supported are F32, F16 and BF16"));
}

}  // namespace
}  // namespace mmbatch
