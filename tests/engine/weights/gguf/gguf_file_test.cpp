#include "engine/weights/gguf/gguf_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::TemporaryFolder;
using testing::write_file;

const std::filesystem::path kTypes = std::filesystem::path(MMBATCH_TEST_DATA) / "reference/gguf-types";

std::string error_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", bytes);
  return message_of<ModelError>([&] { GgufFile(folder.path() / "m.gguf"); });
}

std::string float_bytes(std::initializer_list<float> values) {
  std::string bytes;
  for (const float value : values) bytes += GgufBytes::number(value);
  return bytes;
}

/// The reference was made with gguf-py's own functions: all types, bit for bit.
TEST(GgufFile, EveryTypeBecomesTheReferencesBits) {
  const GgufFile file(kTypes / "model.gguf");
  const nlohmann::json expected = nlohmann::json::parse(read_file(kTypes / "tensors.json")).at("tensors");
  ASSERT_EQ(expected.size(), 26u);
  EXPECT_EQ(file.tensors().size(), expected.size());
  for (const nlohmann::json& one : expected) {
    const TensorView& tensor = file.tensors().at(one.at("name").get<std::string>());
    EXPECT_EQ(tensor.shape, one.at("shape").get<std::vector<std::size_t>>());
    const std::vector<float> values = to_floats(tensor);
    Sha256 hash;
    hash.update(values.data(), values.size() * sizeof(float));
    EXPECT_EQ(hash.hex(), one.at("sha256_f32").get<std::string>()) << tensor.name;
  }
}

TEST(GgufFile, AnyRangeOfATensorHasTheSameBits) {
  const GgufFile file(kTypes / "model.gguf");
  for (const auto& [name, tensor] : file.tensors()) {
    const std::vector<float> all = to_floats(tensor);
    for (const auto& [begin, count] :
         {std::pair<std::size_t, std::size_t>{0, 1}, {31, 2}, {17, 300}, {255, 513}}) {
      std::vector<float> part(count);
      copy_as_float(tensor, begin, count, part.data());
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(begin)))
          << name;
    }
    const TensorView row = tensor.row_range(2, 1);
    EXPECT_EQ(to_floats(row), std::vector<float>(all.begin() + 512, all.end())) << name;
  }
}

TEST(GgufFile, ReadsKeysOfAnyWidth) {
  const TemporaryFolder folder;
  GgufBytes file;
  file.key("a", std::uint32_t{7}).key("b", "text").key("c", 10, GgufBytes::number(std::uint64_t{9}));
  file.key("d", 0, "\x05")
      .key("e", 7, std::string(1, '\1'))
      .floats("f", {1.5f, -2.0f})
      .texts("g", {"x", "", "yz"});
  file.key("h", 5, GgufBytes::number(std::int32_t{-1}));
  write_file(folder.path() / "m.gguf", file.bytes());
  const GgufFile opened(folder.path() / "m.gguf");
  const gguf::Metadata& keys = opened.metadata();
  EXPECT_EQ(keys.size("a", 0), 7u);
  EXPECT_EQ(keys.size("c", 0), 9u);
  EXPECT_EQ(keys.size("d", 0), 5u);
  EXPECT_EQ(keys.size("absent", 3), 3u);
  EXPECT_EQ(keys.text("b", ""), "text");
  EXPECT_TRUE(keys.flag("e", false));
  EXPECT_EQ(keys.numbers("f"), (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(keys.numbers("a"), std::vector<double>{7});
  EXPECT_EQ(keys.texts("g"), (std::vector<std::string_view>{"x", "", "yz"}));
  EXPECT_THAT(message_of<ModelError>([&] { keys.size("h", 0); }), HasSubstr("key 'h': -1 is out of range"));
  EXPECT_THAT(message_of<ModelError>([&] { keys.size("b", 0); }), HasSubstr("key 'b': is not an integer"));
  EXPECT_THAT(message_of<ModelError>([&] { keys.size("f", 0); }), HasSubstr("key 'f': is a list"));
  EXPECT_THAT(message_of<ModelError>([&] { keys.integers("f"); }), HasSubstr("not an integer"));
  EXPECT_THAT(message_of<ModelError>([&] { keys.texts("a"); }), HasSubstr("not a list of texts"));
}

TEST(GgufFile, SaysWhatIsWrong) {
  const std::string ones(16, '\0');
  EXPECT_THAT(error_of("GGML and more"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(error_of(GgufBytes().bytes(1)), HasSubstr("version 1 is not supported"));
  EXPECT_THAT(error_of(GgufBytes().bytes(0x03000000)), HasSubstr("big-endian"));
  EXPECT_THAT(error_of(GgufBytes().bytes().substr(0, 20)), HasSubstr("truncated"));
  EXPECT_THAT(error_of(GgufBytes().key("a", "x").key("a", "y").bytes()),
              HasSubstr("key 'a': is there twice"));
  EXPECT_THAT(error_of(GgufBytes().key("a", 13, "").bytes()), HasSubstr("values of type 13 are not known"));
  const std::string endless = GgufBytes::number(std::uint32_t{8}) + GgufBytes::number(UINT64_MAX);
  EXPECT_THAT(error_of(GgufBytes().key("a", 9, endless).bytes()), HasSubstr("truncated or damaged"));
  std::string nested;
  for (int i = 0; i < 40; ++i)
    nested += GgufBytes::number(std::uint32_t{9}) + GgufBytes::number(std::uint64_t{1});
  EXPECT_THAT(error_of(GgufBytes().key("a", 9, nested).bytes()), HasSubstr("nested more than 4 deep"));
  EXPECT_THAT(error_of(GgufBytes().key("general.alignment", 24u).bytes()),
              HasSubstr("24 is not a power of two"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {3}, 2, ones).bytes()), HasSubstr("not whole blocks of Q4_0"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {}, 0, ones).bytes()), HasSubstr("0 dimensions"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {0, 4}, 0, ones).bytes()), HasSubstr("size of 0"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {1u << 30, 1u << 30, 1u << 30}, 0, ones).bytes()),
              HasSubstr("too large"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {9}, 0, ones).bytes()), HasSubstr("ends behind the end"));
  EXPECT_THAT(error_of(GgufBytes().describe("t", {4}, 0, 7).data(ones).bytes()), HasSubstr("not a multiple"));
  EXPECT_THAT(error_of(GgufBytes().describe("t", {4}, 0, 0).describe("u", {4}, 0, 0).data(ones).bytes()),
              HasSubstr("where another one is"));
  EXPECT_THAT(error_of(GgufBytes().tensor("t", {4}, 0, ones).tensor("t", {4}, 0, ones).bytes()),
              HasSubstr("listed twice"));
}

TEST(GgufFile, NumbersAreFinite) {
  const float none = std::numeric_limits<float>::quiet_NaN(),
              endless = std::numeric_limits<float>::infinity();
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", GgufBytes()
                                           .key("a", 6, GgufBytes::number(none))
                                           .key("b", 12, GgufBytes::number(-double{endless}))
                                           .floats("c", {1.0f, endless})
                                           .bytes());
  const GgufFile file(folder.path() / "m.gguf");
  const auto error = [&](const char* key) {
    return message_of<ModelError>([&] { (void)file.metadata().number(key, 1.0); });
  };
  EXPECT_THAT(error("a"), HasSubstr("m.gguf: key 'a': is not a finite number"));
  EXPECT_THAT(error("b"), HasSubstr("key 'b': is not a finite number"));
  EXPECT_THAT(message_of<ModelError>([&] { (void)file.metadata().numbers("c"); }),
              HasSubstr("key 'c': has an element that is not a finite number"));
}

TEST(GgufFile, TypesThatHoldNoWeightsAreNamed) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf",
             GgufBytes().tensor("i", {4}, 26, std::string(16, 'x')).tensor("n", {4}, 97, "").bytes());
  const GgufFile file(folder.path() / "m.gguf");
  EXPECT_TRUE(file.tensors().empty());
  EXPECT_EQ(file.other_tensors().at("i"), "I32");
  EXPECT_EQ(file.other_tensors().at("n"), "type 97");
}

std::string shard(std::uint32_t number, std::uint32_t count, const std::string& tensor) {
  return GgufBytes()
      .key("split.no", number)
      .key("split.count", count)
      .key("split.tensors.count", std::uint32_t{2})
      .tensor(tensor, {2}, 0, float_bytes({1, 2}))
      .bytes();
}

TEST(GgufFile, ShardsBelongTogether) {
  const TemporaryFolder folder;
  const auto at = [&](const std::string& name) { return folder.path() / name; };
  const auto error = [&](const std::string& name) {
    return message_of<ModelError>([&] { open_gguf(at(name)); });
  };
  write_file(at("m-00001-of-00002.gguf"), shard(0, 2, "a"));
  EXPECT_THAT(error("m-00001-of-00002.gguf"), HasSubstr("m-00002-of-00002.gguf: is missing"));
  write_file(at("m-00002-of-00002.gguf"), shard(1, 2, "b"));
  EXPECT_EQ(open_gguf(at("m-00001-of-00002.gguf")).size(), 2u);
  EXPECT_THAT(error("m-00002-of-00002.gguf"), HasSubstr("give the first one"));
  write_file(at("m-00002-of-00002.gguf"), shard(0, 2, "b"));
  EXPECT_THAT(error("m-00001-of-00002.gguf"), HasSubstr("renamed"));
  write_file(at("m-00002-of-00002.gguf"), shard(1, 3, "b"));
  EXPECT_THAT(error("m-00001-of-00002.gguf"), HasSubstr("3 files, the first one says 2"));
  write_file(at("other.gguf"), shard(0, 2, "a"));
  EXPECT_THAT(error("other.gguf"), HasSubstr("give the first one"));
}

TEST(GgufFile, ShardsAreOfOneModel) {
  const TemporaryFolder folder;
  const auto put = [&](std::uint32_t number, std::uint32_t count, const std::string& architecture,
                       std::uint32_t width) {
    GgufBytes file;
    file.key("split.no", number).key("split.count", count);
    file.key("general.architecture", architecture).key(architecture + ".embedding_length", width);
    file.tensor(std::to_string(number), {2}, 0, float_bytes({1, 2}));
    write_file(folder.path() / fmt::format("m-0000{}-of-00002.gguf", number + 1), file.bytes());
  };
  const auto error = [&] {
    return message_of<ModelError>([&] { open_gguf(folder.path() / "m-00001-of-00002.gguf"); });
  };
  put(0, 2, "llama", 64);
  put(1, 2, "llama", 64);
  EXPECT_EQ(open_gguf(folder.path() / "m-00001-of-00002.gguf").size(), 2u);
  put(1, 2, "llama", 65);
  EXPECT_THAT(error(), HasSubstr("m-00002-of-00002.gguf: key 'llama.embedding_length': differs from that of "
                                 "m-00001-of-00002.gguf"));
  put(1, 2, "qwen3", 64);
  EXPECT_THAT(error(), HasSubstr("m-00002-of-00002.gguf: key 'general.architecture': differs"));
  // One that denies the others.
  for (const std::uint32_t count : {0u, 1u}) {
    put(0, count, "llama", 64);
    EXPECT_THAT(error(), HasSubstr(fmt::format(
                             "m-00001-of-00002.gguf: key 'split.count': {}, but by its name the file "
                             "is one of 2, and m-00002-of-00002.gguf lies beside it",
                             count)));
  }
  write_file(folder.path() / "m-00001-of-00002.gguf", GgufBytes().bytes());
  EXPECT_THAT(error(), HasSubstr("key 'split.count': missing, but by its name the file is one of 2"));
}

TEST(GgufFile, MergedShardsMayKeepTheNameOfOne) {
  const TemporaryFolder folder;
  for (const char* name : {"m-00001-of-00002.gguf", "n-00002-of-00002.gguf"}) {
    write_file(folder.path() / name, shard(0, 0, "a"));  // as gguf-split --merge writes it
    EXPECT_EQ(open_gguf(folder.path() / name).size(), 1u) << name;
    write_file(folder.path() / name, GgufBytes().tensor("a", {2}, 0, float_bytes({1, 2})).bytes());
    EXPECT_EQ(open_gguf(folder.path() / name).size(), 1u) << name;
  }
}

TEST(GgufFile, DamagedFilesAreReadOrRefused) {
  const std::string sound = read_file(kTypes / "model.gguf");
  const TemporaryFolder folder;
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = sound;
    const std::size_t header = i % 3 == 0 ? bytes.size() : 2000;
    for (int n = 0; n < 1 + i % 4; ++n)
      bytes[random() % header] = static_cast<char>(i % 2 == 0 ? random() : "\0\xff\x7f\x80\1"[random() % 5]);
    if (i % 7 == 0) bytes.resize(random() % bytes.size());
    write_file(folder.path() / "m.gguf", bytes);
    try {
      const GgufFile file(folder.path() / "m.gguf");
      for (const auto& [name, tensor] : file.tensors()) {
        std::vector<float> values(tensor.elements());
        copy_as_float(tensor, 0, values.size(), values.data());
      }
    } catch (const ModelError&) {
    }
  }
}

}  // namespace
}  // namespace mmbatch
