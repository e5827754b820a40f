#include "engine/decoder/sliced/sliced_head.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/weights/safetensors_folder.h"
#include "tests/engine/parallel/threads_as_processes.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kHidden = 24, kRows = 3;

/// Every process's logits are those of one whole product: columns are not added up.
void check(std::size_t vocab, std::size_t processes) {
  testing::TensorFile file;
  file.add_random("head.weight", {vocab, kHidden}, 0, 1);
  file.add_random("head.bias", {vocab}, 0, 1);
  file.add_random("x", {kRows, kHidden}, 0, 1);
  const testing::TemporaryFolder folder;
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder source(folder.path());
  const std::vector<float> bias = to_floats(source.tensor("head.bias"));
  std::vector<float> x = to_floats(source.tensor("x"));
  const MatrixView<float> rows(x.data(), kRows, kHidden);

  const Linear whole(PackedMatrix({Weights(source).pack(source.tensor("head.weight"))}), bias);
  Matrix<float> expected(kRows, vocab);
  whole.forward(rows, expected.view());
  testing::as_processes(processes, [&](const std::shared_ptr<Communicator>& own) {
    Weights weights(source);
    weights.slices = std::make_shared<const Slices>(4, own);
    const SlicedHead head(weights, source.tensor("head.weight"), bias);
    const Matrix<float> logits = head.forward(rows);
    ASSERT_EQ(logits.rows(), own->rank() == 0 ? kRows : 0u);
    if (own->rank() > 0) return;
    for (std::size_t i = 0; i < kRows * vocab; ++i)
      ASSERT_NEAR(logits.data()[i], expected.data()[i], 1e-5) << i;
  });
}

TEST(SlicedHead, EachTokenHasItsLogitAndBias) {
  for (const std::size_t processes : {1u, 2u, 4u}) {
    SCOPED_TRACE(processes);
    check(61, processes);   // the first slice has all of it
    check(300, processes);  // the last but one ends early, the last has nothing
    check(512, processes);
  }
}

}  // namespace
}  // namespace mmbatch
