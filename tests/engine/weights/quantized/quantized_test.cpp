#include "engine/weights/quantized/quantized.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/weights/weight_source.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::TemporaryFolder;
using testing::write_file;

const std::filesystem::path kFolders = std::filesystem::path(MMBATCH_TEST_DATA) / "quantized";

/// One weight of a folder of every method, cut out of files that the methods' own libraries wrote, and the
/// SHA-256 of what it is in float32.
class EveryMethod : public ::testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path folder_ = kFolders / GetParam();
  const json expected_ = json::parse(read_file(folder_ / "expected.json"));
  const std::string name_ = expected_.at("tensor").get<std::string>();
};

TEST_P(EveryMethod, BecomesTheReferencesBits) {
  const auto weights = open_weights(folder_);
  const TensorView& tensor = weights->tensor(name_);
  EXPECT_EQ(tensor.shape, expected_.at("shape").get<std::vector<std::size_t>>());
  ASSERT_TRUE(tensor.form);
  EXPECT_LT(tensor.bytes(), tensor.elements() * 2);
  const std::vector<float> values = to_floats(tensor);
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 8),
            expected_.at("first").get<std::vector<float>>());
  Sha256 hash;
  hash.update(values.data(), values.size() * sizeof(float));
  EXPECT_EQ(hash.hex(), expected_.at("sha256").get<std::string>());
  EXPECT_TRUE(weights->has("model.layers.0.input_layernorm.weight"));
  EXPECT_EQ(weights->tensors().size(), 2u) << "parts are left over";
}

TEST_P(EveryMethod, AnyRangeHasTheSameBits) {
  const auto weights = open_weights(folder_);
  const TensorView& tensor = weights->tensor(name_);
  const std::vector<float> all = to_floats(tensor);
  for (const auto& [begin, count] :
       {std::pair<std::size_t, std::size_t>{0, 1}, {127, 2}, {77, 700}, {256, 640}}) {
    std::vector<float> part(count);
    copy_as_float(tensor, begin, count, part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(begin)))
        << begin;
  }
}

TEST_P(EveryMethod, DamagedFilesAreReadOrRefused) {
  const TemporaryFolder folder;
  const std::string sound = read_file(folder_ / "model.safetensors");
  std::filesystem::copy(folder_ / "config.json", folder.path() / "config.json");
  const std::size_t header =
      8 + static_cast<unsigned char>(sound[0]) + 256u * static_cast<unsigned char>(sound[1]);
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = sound;
    const std::string digits = "0123456789";
    for (int n = 0; n < 1 + i % 3;) {  // a number of the header, or bytes of the data
      const std::size_t at =
          i % 2 == 0 ? 8 + random() % (header - 8) : header + random() % (bytes.size() - header);
      if (i % 2 == 0 && digits.find(bytes[at]) == std::string::npos) continue;
      bytes[at] = i % 2 == 0 ? digits[random() % 10] : static_cast<char>(random());
      ++n;
    }
    write_file(folder.path() / "model.safetensors", bytes);
    try {
      const auto weights = open_weights(folder.path());
      for (const auto& [name, tensor] : weights->tensors()) {
        std::vector<float> values(tensor.elements());
        copy_as_float(tensor, 0, values.size(), values.data());
      }
    } catch (const ModelError&) {
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Quantized, EveryMethod,
                         ::testing::Values("awq", "bnb-nf4", "ct-fp8", "ct-w4a16", "ct-w4a16-asym", "ct-w8a8",
                                           "fp8-block", "fp8-tensor", "gptq", "gptq-8bit", "gptq-actorder",
                                           "mxfp4"),
                         [](const auto& method) {
                           std::string name = method.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// What opening a folder says when something in its quantization_config is changed.
template <class Change>
std::string error_with(const std::string& method, Change&& change) {
  const TemporaryFolder folder;
  json config = json::parse(read_file(kFolders / method / "config.json"));
  change(config["quantization_config"]);
  write_file(folder.path() / "config.json", config.dump());
  std::filesystem::copy(kFolders / method / "model.safetensors", folder.path() / "model.safetensors");
  return message_of<ModelError>([&] { open_weights(folder.path()); });
}

TEST(Quantized, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(error_with("awq", [](json& c) { c["version"] = "gemv"; }),
              HasSubstr("'gemv' lays weights out"));
  EXPECT_THAT(error_with("awq", [](json& c) { c["bits"] = 3; }), HasSubstr("only 4 is supported"));
  EXPECT_THAT(error_with("awq", [](json& c) { c["group_size"] = 0; }), HasSubstr("group_size"));
  EXPECT_THAT(error_with("awq", [](json& c) { c["group_size"] = 64; }), HasSubstr("expected shape [2, 64]"));
  EXPECT_THAT(error_with("gptq", [](json& c) { c["checkpoint_format"] = "marlin"; }), HasSubstr("'marlin'"));
  EXPECT_THAT(error_with("ct-w4a16", [](json& c) { c["format"] = "marlin-24"; }), HasSubstr("'marlin-24'"));
  EXPECT_THAT(error_with("ct-fp8",
                         [](json& c) {
                           c["transform_config"] = {{"a", 1}};
                         }),
              HasSubstr("transforms"));
  const auto of_weights = [](const char* method, const char* key, const json& value) {
    return error_with(method, [&](json& c) { c["config_groups"]["group_0"]["weights"][key] = value; });
  };
  for (const auto& [method, key, value] :
       std::vector<std::tuple<const char*, const char*, json>>{{"ct-w4a16", "num_bits", 8},
                                                               {"ct-w4a16", "group_size", 64},
                                                               {"ct-w4a16", "type", "float"},
                                                               {"ct-w4a16-asym", "group_size", 128},
                                                               {"ct-w8a8", "num_bits", 4},
                                                               {"ct-w8a8", "type", "float"},
                                                               {"ct-fp8", "type", "int"}})
    EXPECT_THAT(of_weights(method, key, value), HasSubstr("(group_0) describes such weights"))
        << method << key;
  EXPECT_THAT(of_weights("ct-w4a16", "num_bits", "x"), HasSubstr("num_bits"));
  EXPECT_THAT(error_with("ct-w4a16", [](json& c) { c["config_groups"] = "x"; }), HasSubstr("config_groups"));
  EXPECT_EQ(error_with("ct-w4a16", [](json& c) { c["config_groups"] = {{"W4A16", {"Linear"}}}; }), "");
  EXPECT_THAT(error_with("fp8-block", [](json& c) { c.erase("weight_block_size"); }),
              HasSubstr("names no weight_block_size"));
  EXPECT_THAT(error_with("fp8-block",
                         [](json& c) {
                           c["weight_block_size"] = {128, 0};
                         }),
              HasSubstr("above 0"));
  EXPECT_THAT(error_with("bnb-nf4", [](json& c) { c["load_in_8bit"] = true; }), HasSubstr("load_in_8bit"));
}

TEST(Quantized, SizesOfBlocksMustBeThere) {
  for (const std::string key : {"\"blocksize\"", "\"nested_blocksize\""}) {
    const TemporaryFolder folder;
    std::filesystem::copy(kFolders / "bnb-nf4" / "config.json", folder.path() / "config.json");
    std::string bytes = read_file(kFolders / "bnb-nf4" / "model.safetensors");
    bytes.replace(bytes.find(key) + 1, 1, "B");
    write_file(folder.path() / "model.safetensors", bytes);
    EXPECT_THAT(message_of<ModelError>([&] { open_weights(folder.path()); }),
                ::testing::AllOf(HasSubstr("quant_state.bitsandbytes__nf4"), HasSubstr("blocksize"),
                                 HasSubstr("is missing")));
  }
}

TEST(Quantized, UnknownMethodsAreRefusedByName) {
  const Config config = Config::parse(R"({"quantization_config": {"quant_method": "aqlm"}})", "config.json");
  EXPECT_THAT(
      message_of<ModelError>([&] { check_quantization_method(find_quantization(config, Config())); }),
      ::testing::AllOf(HasSubstr("config.json"), HasSubstr("'aqlm'"), HasSubstr("awq, bitsandbytes")));
  const Config text =
      Config::parse(R"({"text_config": {"quantization_config": {"quant_method": "hqq"}}})", "c");
  EXPECT_THAT(message_of<ModelError>([&] { check_quantization_method(find_quantization(text, Config())); }),
              HasSubstr("'hqq'"));
  EXPECT_NO_THROW(check_quantization_method(find_quantization(Config(), Config())));
}

}  // namespace
}  // namespace mmbatch
