#include "engine/weights/fingerprint.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using testing::TemporaryFolder;

TEST(Fingerprint, SeesWhatShapesAnswers) {
  TemporaryFolder folder;
  const std::string header = std::string("\x02\0\0\0\0\0\0\0{}", 10);
  folder.write("model.safetensors", header + std::string(8u << 20, 'w'));
  folder.write("config.json", "{}");
  const auto print = [&](FingerprintScope scope = FingerprintScope::samples) {
    return folder_fingerprint(folder.path(), scope);
  };
  const std::string first = print();
  folder.write("README.md", "x");
  folder.write(".cache/a.json", "x");
  EXPECT_EQ(print(), first);
  folder.write("tokenizer.model", "t");
  const std::string second = print();
  EXPECT_NE(second, first);
  folder.write("config.json", "[]");
  EXPECT_NE(print(), second);
  // A byte between two samples shows only in all bytes; the last byte always.
  const std::string third = print();
  const std::string all = print(FingerprintScope::all_bytes);
  std::string weights = header + std::string(8u << 20, 'w');
  weights[(64u << 10) + 10] = 'x';
  folder.write("model.safetensors", weights);
  EXPECT_EQ(print(), third);
  EXPECT_NE(print(FingerprintScope::all_bytes), all);
  weights.back() = 'x';
  folder.write("model.safetensors", weights);
  EXPECT_NE(print(), third);
  EXPECT_THROW(folder_fingerprint(folder / "none", FingerprintScope::samples), ModelError);
}

TEST(Fingerprint, TakesBrokenWeightFiles) {
  TemporaryFolder folder;
  folder.write("a.safetensors", "");
  folder.write("b.safetensors", "abc");
  folder.write("c.safetensors", std::string(8, '\xff') + std::string(6u << 20, 'x'));
  EXPECT_EQ(folder_fingerprint(folder.path(), FingerprintScope::samples).size(), 64u);
}

}  // namespace
}  // namespace mmbatch
