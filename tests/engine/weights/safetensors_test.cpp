#include "engine/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::safetensors_bytes;
using testing::TemporaryFolder;
using testing::write_file;

std::string error_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.safetensors";
  write_file(file, bytes);
  return message_of<ModelError>([&] { SafetensorsFile{file}; });
}

std::string error_of(const std::string& header, std::size_t data_bytes) {
  return error_of(safetensors_bytes(header, std::string(data_bytes, 'x')));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, ReadsTensorsOfAllSupportedTypes) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"f":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("h":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]},"b":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},)"
      R"("i":{"dtype":"I64","shape":[1],"data_offsets":[14,22]},"e":{"dtype":"F32","shape":[0,3],"data_offsets":[22,22]}})";
  const std::string data("\0\0\x80\x3f\0\0\0\xc0\0\x3c\x01\0\x80\x3f\0\0\0\0\0\0\0\0", 22);
  write_file(folder.path() / "m", safetensors_bytes(header, data));
  const SafetensorsFile file(folder.path() / "m");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(to_floats(file.tensors().at("f")), (std::vector<float>{1.0f, -2.0f}));
  EXPECT_EQ(to_floats(file.tensors().at("h")), (std::vector<float>{1.0f, 0x1p-24f}));
  EXPECT_EQ(to_floats(file.tensors().at("b")), (std::vector<float>{1.0f}));
  EXPECT_EQ(file.tensors().at("e").elements(), 0u);
  EXPECT_EQ(file.other_tensors().at("i"), "I64");
}

TEST(Safetensors, HalfPrecisionConvertsEveryValueExactly) {
  std::vector<std::uint16_t> all(0x10000);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const TensorView half{"h", DType::f16, {all.size()}, reinterpret_cast<const std::byte*>(all.data())};
  std::vector<float> values(all.size());
  copy_as_float(half, 0, all.size(), values.data());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31), mantissa = static_cast<int>(i & 1023);
    if (exponent == 31) {
      EXPECT_FALSE(std::isfinite(values[i])) << i;
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(values[i], i >> 15 ? -magnitude : magnitude) << i;
  }
}

TEST(Safetensors, ValuesThatAreNotFiniteAreRefusedByTheTensorsName) {
  const auto refusal = [](DType type, std::uint32_t bits) {
    std::vector<std::byte> bytes(40 * element_bytes(type));  // zeros, but for one
    std::memcpy(bytes.data() + 33 * element_bytes(type), &bits, element_bytes(type));
    const TensorView tensor{"layer.bias", type, {40}, bytes.data()};
    const std::string checked = testing::message_of<ModelError>([&] { check_finite(tensor); });
    EXPECT_EQ(testing::message_of<ModelError>([&] { to_floats(tensor); }), checked);
    return checked;
  };
  for (const auto& [type, bits] : std::vector<std::pair<DType, std::uint32_t>>{{DType::f32, 0x7fc00000u},
                                                                               {DType::f32, 0xff800000u},
                                                                               {DType::f16, 0x7e01u},
                                                                               {DType::f16, 0xfc00u},
                                                                               {DType::bf16, 0x7f81u},
                                                                               {DType::bf16, 0x7f80u}})
    EXPECT_THAT(refusal(type, bits), HasSubstr("'layer.bias'")) << bits;
  EXPECT_EQ(refusal(DType::f32, 0x7f7fffffu), "");
  EXPECT_EQ(refusal(DType::f16, 0x7bffu), "");
  EXPECT_EQ(refusal(DType::bf16, 0xff7fu), "");
}

TEST(Safetensors, TruncatedFilesAreRefused) {
  EXPECT_THAT(error_of(std::string()), HasSubstr("not empty"));
  EXPECT_THAT(error_of(std::string("abc")), HasSubstr("3 bytes are too few"));
  const std::string whole = safetensors_bytes(entry("F32", "[4]", "[0,16]"), std::string(16, 'x'));
  EXPECT_EQ(error_of(whole), "");
  for (std::size_t length = 1; length < whole.size(); ++length) {
    EXPECT_NE(error_of(whole.substr(0, length)), "") << length << " bytes";
  }
}

TEST(Safetensors, HeadersThatLieAboutTheirLengthAreRefused) {
  for (const std::uint64_t length :
       {std::uint64_t{1000}, std::uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    std::string bytes(64, ' ');
    std::memcpy(bytes.data(), &length, sizeof(length));
    EXPECT_THAT(error_of(bytes), HasSubstr("announced in a file of 64 bytes")) << length;
  }
}

TEST(Safetensors, NamesTensorExpectedAndFound) {
  EXPECT_THAT(
      error_of(entry("F32", "[4]", "[0,12]"), 12),
      ::testing::AllOf(HasSubstr("'a'"), HasSubstr("[4] of F32 needs 16 bytes"), HasSubstr("hold 12")));
  EXPECT_THAT(error_of(entry("F32", "[4]", "[16,0]"), 16), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(error_of(entry("F32", "[4]", "[-16,0]"), 16), HasSubstr("out of range"));
  EXPECT_THAT(error_of(entry("F32", "[4]", "[0]"), 16), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(error_of(entry("F32", "[4]", "[0.5,16]"), 16), HasSubstr("list of integers"));
  EXPECT_THAT(error_of(entry("F32", "[-4]", "[0,16]"), 16), HasSubstr("out of range"));
  EXPECT_THAT(error_of(entry("F32", "\"4\"", "[0,16]"), 16), HasSubstr("list of integers"));
  EXPECT_THAT(error_of(R"({"a":[1]})", 0), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(error_of(R"([1,2])", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of("{]", 0), HasSubstr("not valid JSON"));
}

TEST(Safetensors, ShapesWhoseProductOverflowsAreRefused) {
  // 2^32 · 2^32 elements of 4 bytes are 0 modulo 2^64.
  EXPECT_THAT(error_of(entry("F32", "[4294967296,4294967296]", "[0,0]"), 8), HasSubstr("needs"));
  EXPECT_THAT(error_of(entry("F32", "[1099511627776,1099511627776,0]", "[0,8]"), 8), HasSubstr("hold 8"));
  EXPECT_THAT(error_of(entry("F32", "[9223372036854775807]", "[0,4]"), 4), HasSubstr("out of range"));
  EXPECT_THAT(error_of(entry("F32", "[99999999999999999999]", "[0,4]"), 4), HasSubstr("key 'a.shape'"));
  EXPECT_THAT(error_of(entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), HasSubstr("needs 4 bytes"));
}

TEST(Safetensors, TensorsFillTheDataWithoutOverlap) {
  const auto second_at = [](std::size_t begin, std::size_t bytes) {
    return error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                    R"("b":{"dtype":"U8","shape":[4],"data_offsets":[)" +
                        std::to_string(begin) + "," + std::to_string(begin + 4) + "]}}",
                    bytes);
  };
  EXPECT_EQ(second_at(8, 12), "");
  EXPECT_THAT(second_at(6, 10), HasSubstr("'a' and 'b' overlap: [0, 8) and [6, 10)"));
  EXPECT_THAT(second_at(12, 16), HasSubstr("damaged: bytes [8, 12) of the data before tensor 'b'"));
  EXPECT_THAT(second_at(8, 13),
              ::testing::AllOf(HasSubstr("damaged"), HasSubstr("Download or copy it again")));
  EXPECT_THAT(second_at(8, 11), HasSubstr("truncated"));
  EXPECT_THAT(second_at(std::size_t{1} << 62, 12), HasSubstr("damaged"));
  EXPECT_THAT(error_of(entry("F32", "[0]", "[4611686018427387904,4611686018427387904]"), 0),
              HasSubstr("damaged"));
}

TEST(Safetensors, TensorsOfTypesThatNobodyKnowsAreListed) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"s":{"dtype":"F8_E8M0","shape":[16],"data_offsets":[4,20]}})";
  write_file(folder.path() / "m", safetensors_bytes(header, std::string(20, '\0')));
  const SafetensorsFile file(folder.path() / "m");
  EXPECT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.other_tensors().at("s"), "F8_E8M0");
  // … but their bytes must be there like any other tensor's.
  EXPECT_THAT(error_of(header, 19), HasSubstr("truncated"));
}

TEST(Safetensors, PackedTensorsMustBeWhatTheirBytesCanHold) {
  const auto packed = [](const std::string& precision, const std::string& form) {
    return error_of(R"({"__metadata__":{"mmbatch.layout":"2","mmbatch.packed":")" + precision +
                        R"(","packed:a":")" + form +
                        R"("},"a":{"dtype":"U8","shape":[64],"data_offsets":[0,64]}})",
                    64);
  };
  EXPECT_EQ(packed("int8", "int8 8 8"), "");
  EXPECT_THAT(packed("fp7", "int8 8 8"), HasSubstr("'__metadata__.mmbatch.packed': precision 'fp7'"));
  EXPECT_THAT(packed("int8", "fp7 8 8"), HasSubstr("precision 'fp7' is unknown"));
  EXPECT_THAT(packed("int8", "int8 0 8"), HasSubstr("must be a precision, rows and columns"));
  EXPECT_THAT(packed("int4", "int4 16 9"), HasSubstr("'a': [16, 9] values cannot be packed in 64 bytes"));
  EXPECT_THAT(packed("int8", "int8 -1 -1"), HasSubstr("cannot be packed in 64 bytes"));
}

TEST(Safetensors, PackedTensorsOfAnotherLayoutAreRefused) {
  const auto packed = [](const std::string& layout) {
    return error_of(R"({"__metadata__":{)" + layout + R"("mmbatch.packed":"int8"},)" +
                        R"("a":{"dtype":"U8","shape":[64],"data_offsets":[0,64]}})",
                    64);
  };
  EXPECT_EQ(packed(R"("mmbatch.layout":"2",)"), "");
  EXPECT_THAT(packed(""), HasSubstr("packed in layout 1 by another version of mmbatch, this one reads 2"));
  EXPECT_THAT(packed(R"("mmbatch.layout":"3",)"), HasSubstr("pack the published checkpoint again"));
}

TEST(Safetensors, DeepHeadersAreRefused) {
  const std::string deep(100000, '[');
  EXPECT_THAT(error_of("{\"a\":" + deep, 0), HasSubstr("JSON"));
  std::string closed;
  for (int i = 0; i < 1000; ++i) closed += "{\"a\":";
  closed += "1" + std::string(1000, '}');
  EXPECT_THAT(error_of(closed, 0), HasSubstr("nested deeper than 64 levels"));
}

// Header bytes changed at random: always a file that can be read safely, or a ModelError.
TEST(Safetensors, DamagedHeadersNeverEscape) {
  std::string header =
      R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[4],)"
      R"("data_offsets":[16,24]},"__metadata__":{"format":"pt"}})";
  const std::string whole = safetensors_bytes(header, std::string(24, 'x'));
  static const std::string alphabet = "0123456789-,:[]{}\"eE.+ \\uFB\xff\x80";
  const TemporaryFolder folder;
  const auto path = folder.path() / "m";
  std::mt19937 random(5);
  int readable = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = whole;
    for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
      const std::size_t at = random() % (8 + header.size());
      switch (random() % 3) {
        case 0:
          bytes[at] = at < 8 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
          break;
        case 1:
          bytes.erase(at, 1 + random() % 3);
          break;
        default:
          bytes.insert(at, 1, alphabet[random() % alphabet.size()]);
      }
    }
    write_file(path, bytes);
    try {
      const SafetensorsFile file(path);
      for (const auto& [name, tensor] : file.tensors()) to_floats(tensor);
      ++readable;
    } catch (const ModelError&) {
    }
  }
  EXPECT_GT(readable, 0);
  EXPECT_LT(readable, 250);
}

TEST(Safetensors, AHeaderMayBeAsLongAsTheirOwnLibraryAllows) {
  const TemporaryFolder folder;
  const auto error = [&](std::uint64_t header) {
    std::string begin(sizeof(header), '\0');
    std::memcpy(begin.data(), &header, sizeof(header));
    const auto file = folder.write("m", begin);
    std::filesystem::resize_file(file, sizeof(header) + header);  // zeros, which take no room
    return message_of<ModelError>([&] { SafetensorsFile{file}; });
  };
  EXPECT_THAT(error(100'000'000), HasSubstr("not valid JSON"));
  EXPECT_THAT(error(100'000'001), HasSubstr("(at most 100000000): truncated, or not a safetensors file"));
}

}  // namespace
}  // namespace mmbatch
