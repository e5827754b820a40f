#include "engine/decoder/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch {
namespace {

using testing::logits_in_one_piece;
using testing::prompt_of;
using testing::tiny_decoder;

std::vector<std::int32_t> random_ids(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 61);
  return ids;
}

/// One sequence of a shared pool, with blocks in any order.
struct Line {
  std::shared_ptr<const Prompt> prompt;
  std::vector<std::vector<std::int32_t>> tables = {};  // of the cache groups
  std::size_t computed = 0;
  std::size_t logit_rows = SIZE_MAX;  // per step, at most

  void append_to(StepBatch& batch, std::size_t count) {
    batch.add({.prompt = *prompt,
               .answer = {},
               .draft = {},
               .first = computed,
               .count = count,
               .logit_rows = std::min(count, logit_rows),
               .rope_tokens = prompt->tokens()});
    for (const std::vector<std::int32_t>& table : tables) batch.add_table(table);
    computed += count;
  }
};

/// Several sequences, some positions of each in every step, in a pool of scattered blocks; all their logits.
std::vector<Matrix<float>> in_random_steps(const Decoder& decoder, std::vector<Line> lines,
                                           std::size_t block_tokens, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> free(64 * 8);
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), random);
  KvPool pool(decoder.config(), free.size(), block_tokens);
  std::vector<Matrix<float>> all;
  for (Line& line : lines) {
    line.tables.resize(pool.groups());
    for (std::vector<std::int32_t>& table : line.tables) {
      for (std::size_t p = 0; p < line.prompt->tokens(); p += block_tokens) {
        table.push_back(free.back());
        free.pop_back();
      }
    }
    all.emplace_back(line.prompt->tokens(), decoder.config().vocab);
  }
  Scratch scratch;
  for (bool more = true; more;) {
    more = false;
    StepBatch batch;
    std::vector<std::pair<std::size_t, std::size_t>> targets;  // line, first position
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::size_t left = lines[i].prompt->tokens() - lines[i].computed;
      std::size_t count = std::min<std::size_t>(left, random() % 6);
      for (const PositionRange& range : lines[i].prompt->bidirectional) {
        const std::size_t end = lines[i].computed + count;
        if (range.begin < end && end < range.end) count = range.end - lines[i].computed;
      }
      if (left > count) more = true;
      if (count == 0) continue;
      targets.emplace_back(i, lines[i].computed);
      lines[i].append_to(batch, count);
    }
    if (batch.rows() == 0) continue;
    const Matrix<float> logits = decoder.forward(batch, pool, scratch);
    std::size_t row = 0;
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const auto [line, position] = targets[t];
      const std::size_t count = batch.sequences[t].logit_rows;
      const std::size_t first = position + batch.sequences[t].count - count;
      if (count == 0) continue;  // where no row wants any, there are none
      std::memcpy(all[line].row(first), logits.row(row), count * logits.cols() * sizeof(float));
      row += count;
    }
  }
  return all;
}

struct Variant {
  const char* name;
  void (*change)(DecoderConfig&);
  std::vector<PositionRange> bidirectional;
};

const Variant kVariants[] = {
    {"causal", [](DecoderConfig&) {}, {}},
    {"prefix", [](DecoderConfig&) {}, {{0, 19}}},
    {"ranges", [](DecoderConfig&) {}, {{2, 9}, {9, 14}, {17, 22}}},
    {"windows",
     [](DecoderConfig& c) {
       testing::set_windows(c, {7, 0});
     },
     {}},
    {"windowed_prefix",
     [](DecoderConfig& c) {
       testing::set_windows(c, {7, 0});
     },
     {{0, 19}}},
    {"windowed_ranges",
     [](DecoderConfig& c) {
       testing::set_windows(c, {0, 7});
     },
     {{3, 15}}},
    {"softcaps",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) layer.attention.shape.softcap = 5;
       c.logit_softcap = 3;
       c.embedding_scale = 2;
     },
     {}},
    {"whole_ranges",
     [](DecoderConfig& c) {
       testing::set_windows(c, {0, 4});
       c.layers[1].attention.shape.ranges = RangeView::whole;
     },
     {{3, 15}}},
    {"ignored_ranges",
     [](DecoderConfig& c) {
       testing::set_windows(c, {0, 7});
       c.layers[0].attention.shape.ranges = RangeView::ignored;
     },
     {{3, 15}}},
    {"shared_keys",
     [](DecoderConfig& c) {
       c.layers.resize(4, c.layers.front());
       testing::set_windows(c, {7, 0, 7, 0});
       c.layers[2].attention.keys_of = 0;
       c.layers[3].attention.keys_of = 1;
     },
     {}},
    {"keys_as_values",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) {
         layer.attention.values = ValueSource::keys;
         layer.attention.value_norm = NormConfig{.weight = NormWeight::none};
       }
     },
     {}},
    {"proportional_rope",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers)
         layer.attention.rope = RopeConfig{.scaling = RopeScaling::proportional, .turning_pairs = 2};
     },
     {}},
    {"norms_after",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) layer.placement = NormPlacement::before_and_after;
     },
     {}},
    {"norms_after_alone",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) layer.placement = NormPlacement::after;
     },
     {}},
    {"multipliers",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) layer.residual_scale = 0.4f;
       c.logit_divisor = 3;
     },
     {}},
    {"query_and_key_norms",
     [](DecoderConfig& c) {
       c.layers[0].attention.query_key_norm = {c.norm, QueryKeyNorm::Span::head};
       c.layers[1].attention.query_key_norm = {c.norm, QueryKeyNorm::Span::all_heads};
     },
     {}},
    {"yarn_of_half_a_head",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) {
         RopeConfig& rope = *layer.attention.rope;
         rope.dims = layer.attention.shape.head_dim / 2 / 2 * 2;
         rope.scaling = RopeScaling::yarn;
         rope.original_positions = 16;
         rope.factor = 4;
         rope.magnitude = 1.2;
       }
     },
     {}},
    {"longrope",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) {
         RopeConfig& rope = *layer.attention.rope;
         const std::size_t half = layer.attention.shape.head_dim / 2;
         rope.scaling = RopeScaling::longrope;
         rope.original_positions = 30;
         rope.short_factors.assign(half, 1.1);
         rope.long_factors.assign(half, 3.0);
       }
     },
     {}},
    {"unlike_layers",
     [](DecoderConfig& c) {
       c.layers[0].attention.shape = {6, 3, 8, 0.3f};
       c.layers[1].attention.rope.reset();
       c.layers[1].feed_forward.ffn = 21;
       c.layers.push_back(c.layers[1]);
       c.layers[2].attention.shape.window = 9;
       c.layers[2].attention.rope = RopeConfig{.theta = 500};
     },
     {}},
    {"dynamic_rope",
     [](DecoderConfig& c) {
       for (LayerConfig& layer : c.layers) {
         layer.attention.rope->scaling = RopeScaling::dynamic_ntk;
         layer.attention.rope->original_positions = 20;
         layer.attention.rope->factor = 2;
       }
     },
     {}},
};

class DecoderVariant : public ::testing::TestWithParam<Variant> {};

// Chunks, company, block size and the places of blocks leave every bit of the logits as it is.
TEST_P(DecoderVariant, ChunksAndCompanyKeepEveryBit) {
  const auto decoder = tiny_decoder(GetParam().change);
  std::vector<Line> lines;
  std::vector<Matrix<float>> expected;
  for (const std::size_t tokens : {40u, 23u, 61u}) {
    Prompt prompt = *prompt_of(random_ids(tokens, static_cast<unsigned>(tokens)));
    prompt.bidirectional = GetParam().bidirectional;
    lines.push_back({std::make_shared<const Prompt>(std::move(prompt))});
    expected.push_back(logits_in_one_piece(*decoder, *lines.back().prompt));
  }
  for (const int threads : {1, 2}) {
    Arena arena(threads);
    for (const std::size_t block_tokens : {1u, 5u, 16u}) {
      std::vector<Matrix<float>> found;
      arena.run([&] { found = in_random_steps(*decoder, lines, block_tokens, 3); });
      for (std::size_t i = 0; i < lines.size(); ++i) {
        ASSERT_EQ(std::memcmp(found[i].data(), expected[i].data(), expected[i].bytes()), 0)
            << "sequence " << i << ", blocks of " << block_tokens << ", " << threads << " threads";
      }
    }
  }
}

TEST_P(DecoderVariant, FlashAttentionAgreesWithTheNaiveOne) {
  const auto decoder = tiny_decoder(GetParam().change);
  Prompt prompt = *prompt_of(random_ids(50, 9));
  prompt.bidirectional = GetParam().bidirectional;
  const Matrix<float> flash = logits_in_one_piece(*decoder, prompt);
  const Matrix<float> naive = logits_in_one_piece(*decoder, prompt, AttentionKernel::naive);
  for (std::size_t i = 0; i < flash.rows() * flash.cols(); ++i) {
    ASSERT_NEAR(flash.data()[i], naive.data()[i], 1e-4) << i;
  }
}

// Rows without logits are not computed in the last layer; those with logits have the same bits.
TEST_P(DecoderVariant, FewerLogitsAreTheSame) {
  const auto decoder = tiny_decoder(GetParam().change);
  std::vector<Line> lines;
  std::vector<Matrix<float>> expected;
  for (const std::size_t tokens : {40u, 23u, 61u}) {
    Prompt prompt = *prompt_of(random_ids(tokens, static_cast<unsigned>(tokens)));
    prompt.bidirectional = GetParam().bidirectional;
    lines.push_back({std::make_shared<const Prompt>(std::move(prompt))});
    lines.back().logit_rows = tokens % 3;  // 1, 2, 1
    expected.push_back(logits_in_one_piece(*decoder, *lines.back().prompt));
  }
  lines[2].logit_rows = 0;
  for (const unsigned seed : {3u, 4u}) {
    const std::vector<Matrix<float>> found = in_random_steps(*decoder, lines, 5, seed);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::size_t last = expected[i].rows() - 1, bytes = expected[i].cols() * sizeof(float);
      ASSERT_EQ(std::memcmp(found[i].row(last), expected[i].row(last), bytes), 0) << "sequence " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DecoderVariant, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return info.param.name; });

TEST(Decoder, MasksDecideWhatAPositionSees) {
  const auto changed = [](const Decoder& decoder, PositionRange range, std::size_t at) {
    const auto ids = random_ids(30, 1);
    Prompt prompt = *prompt_of(ids);
    if (range.end > 0) prompt.bidirectional = {range};
    const Matrix<float> before = logits_in_one_piece(decoder, prompt);
    prompt.ids[at] = (ids[at] + 1) % 61;
    const Matrix<float> after = logits_in_one_piece(decoder, prompt);
    std::vector<std::size_t> rows;
    for (std::size_t r = 0; r < ids.size(); ++r) {
      if (std::memcmp(before.row(r), after.row(r), before.cols() * sizeof(float)) != 0) rows.push_back(r);
    }
    return std::pair(rows.front(), rows.back());
  };
  using Range = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(changed(*tiny_decoder(), {}, 12), Range(12, 29));
  EXPECT_EQ(changed(*tiny_decoder(), {0, 20}, 12), Range(0, 29));
  EXPECT_EQ(changed(*tiny_decoder(), {0, 20}, 25), Range(25, 29));
  EXPECT_EQ(changed(*tiny_decoder(), {8, 20}, 12), Range(8, 29));
  EXPECT_EQ(changed(*tiny_decoder(), {8, 20}, 7), Range(7, 29));
  // Two layers of window 4: a position reaches 3 + 3 positions on.
  const auto windowed = tiny_decoder([](DecoderConfig& c) { testing::set_windows(c, {4, 4}); });
  EXPECT_EQ(changed(*windowed, {}, 12), Range(12, 18));
}

TEST(Decoder, PositionsOfThePromptTurnItsTokens) {
  const auto decoder = tiny_decoder();
  Prompt prompt = *prompt_of(random_ids(20, 8));
  const Matrix<float> expected = logits_in_one_piece(*decoder, prompt);
  for (std::size_t i = 0; i < 20; ++i) prompt.positions.push_back(i);
  const Matrix<float> same = logits_in_one_piece(*decoder, prompt);
  EXPECT_EQ(std::memcmp(same.data(), expected.data(), expected.bytes()), 0);
  EXPECT_EQ(content_keys(prompt), content_keys(*prompt_of(prompt.ids)));
  // All of them moved: only distances count, but for rounding.
  for (RopePosition& position : prompt.positions) position = position.time + 40;
  const Matrix<float> moved = logits_in_one_piece(*decoder, prompt);
  for (std::size_t i = 0; i < 20 * 61; ++i) ASSERT_NEAR(moved.data()[i], expected.data()[i], 1e-3) << i;
  EXPECT_NE(content_keys(prompt), content_keys(*prompt_of(prompt.ids)));
  // A gap: what stands behind it computes something else.
  for (std::size_t i = 0; i < 20; ++i) prompt.positions[i] = i < 10 ? i : i + 5;
  const Matrix<float> gap = logits_in_one_piece(*decoder, prompt);
  EXPECT_EQ(std::memcmp(gap.data(), expected.data(), 10 * 61 * sizeof(float)), 0);
  EXPECT_NE(std::memcmp(gap.row(10), expected.row(10), 61 * sizeof(float)), 0);
  prompt.next_position = 25;
  EXPECT_EQ(rope_position(prompt, 19), RopePosition(24));
  EXPECT_EQ(rope_position(prompt, 21), RopePosition(26));
}

TEST(Decoder, FeatureRowsStandInForTokens) {
  const auto decoder = tiny_decoder();
  const auto ids = random_ids(9, 4);
  const Matrix<float> by_token = logits_in_one_piece(*decoder, *prompt_of(ids));
  // The embeddings of ids 3 … 5 as features: the same logits by another way.
  testing::TensorFile same;
  auto rows = std::make_shared<Matrix<float>>(3, 24);
  const testing::TemporaryFolder folder;
  same.add_random("embed_tokens.weight", {61, 24}, 0, 1);
  same.write(folder.path() / "model.safetensors");
  const SafetensorsFolder weights(folder.path());
  for (std::size_t i = 0; i < 3; ++i) {
    copy_as_float(weights.tensor("embed_tokens.weight"), static_cast<std::size_t>(ids[3 + i]) * 24, 24,
                  rows->row(i));
  }
  Prompt prompt = *prompt_of(ids);
  for (std::size_t i = 3; i < 6; ++i) prompt.ids[i] = 60;
  prompt.features.push_back({3, rows, 77});
  const Matrix<float> by_feature = logits_in_one_piece(*decoder, prompt);
  EXPECT_EQ(std::memcmp(by_token.data(), by_feature.data(), by_token.bytes()), 0);

  const std::vector<PrefixKey> keys = content_keys(prompt);
  prompt.features[0].key = 78;
  const std::vector<PrefixKey> others = content_keys(prompt);
  for (std::size_t p = 0; p < keys.size(); ++p) EXPECT_EQ(keys[p] == others[p], p < 3 || p >= 6) << p;
}

TEST(Decoder, MissingAndMisshapenTensorsAreNamed) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add_random("embed_tokens.weight", {61, 24}, 0, 1);
  file.add_random("norm.weight", {25}, 0, 1);
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder weights(folder.path());
  const auto error = [&](DecoderConfig config) {
    return testing::message_of<ModelError>([&] { Decoder(weights, config, testing::tiny_names(config)); });
  };
  EXPECT_THAT(error(testing::tiny_config()), ::testing::HasSubstr("'norm.weight': expected shape [24]"));
  DecoderConfig wide = testing::tiny_config();
  wide.vocab = 62;
  EXPECT_THAT(error(wide),
              ::testing::HasSubstr("'embed_tokens.weight': expected shape [62, 24] by config.json"));
}

TEST(CacheLayout, GroupsLayersByWhatTheyLookBackTo) {
  DecoderConfig config = testing::tiny_config();
  const auto layout = [&](const std::vector<std::size_t>& windows) {
    config.layers.assign(windows.size(), config.layers.front());
    testing::set_windows(config, windows);
    const CacheLayout layout(config, 4, KvPrecision::f32);
    std::string text;
    for (const CacheGroup& group : layout.groups) {
      text += std::to_string(group.window) + ":";
      for (const std::size_t layer : group.layers) text += " " + std::to_string(layer);
      text += "; ";
    }
    EXPECT_EQ(layout.block_bytes(), layout.slot_strides.size() * 2 * 4 * 2 * 10 * sizeof(float));
    return text + std::to_string(layout.slot_strides.size());
  };
  EXPECT_EQ(layout({0, 0, 0}), "0: 0 1 2; 3");
  EXPECT_EQ(layout({7, 5}), "7: 0 1; 2");
  EXPECT_EQ(layout({7, 0, 7, 0}), "0: 1 3; 7: 0 2; 2");
  EXPECT_EQ(layout({7, 7, 7, 7, 7, 0, 7}), "0: 5; 7: 0; 7: 1; 7: 2; 7: 3; 7: 4; 7: 6; 1");
  EXPECT_EQ(layout({0, 7, 7, 7, 0, 7, 7}), "0: 0 4; 7: 1; 7: 2 3; 7: 5 6; 2");
  EXPECT_EQ(layout({0, 256}), "0: 0 1; 2");  // no sequence is longer than this window
}

TEST(KvPool, CopiesABlockInEveryLayer) {
  const DecoderConfig config = testing::tiny_config();
  for (const std::string& name : kv_precision_names()) {
    const KvPrecision format = kv_precision_from(name);
    KvPool pool(config, 3, 4, format);
    const std::size_t block = 2 * 4 * kv_row_bytes(format, 10);  // kv_heads · block_tokens rows of head_dim
    EXPECT_EQ(pool.block_bytes(), 2 * 2 * block);
    EXPECT_EQ(pool.bytes(), 3 * pool.block_bytes());
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (std::size_t i = 0; i < 3 * block; ++i) {
        pool.layer(layer).keys[i] = static_cast<std::byte>(i);
        pool.layer(layer).values[i] = static_cast<std::byte>(i + 100);
      }
    }
    pool.copy_block(0, 2);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (std::size_t i = 0; i < block; ++i) {
        ASSERT_EQ(pool.layer(layer).keys[2 * block + i], static_cast<std::byte>(i));
        ASSERT_EQ(pool.layer(layer).values[2 * block + i], static_cast<std::byte>(i + 100));
        ASSERT_EQ(pool.layer(layer).keys[block + i], static_cast<std::byte>(block + i));
      }
    }
  }
}

}  // namespace
}  // namespace mmbatch
