#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/threads.h"
#include "engine/decoder/sliced/step_message.h"
#include "engine/nn/layer.h"
#include "tests/engine/parallel/threads_as_processes.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch {
namespace {

using testing::logits_in_one_piece;
using testing::prompt_of;
using testing::tiny_decoder;

using Change = void (*)(DecoderConfig&);

/// Sizes that can be cut into four.
void divisible(DecoderConfig& config) {
  config.vocab = 300;  // two slices of the head are whole, one is cut, one is empty
  for (LayerConfig& layer : config.layers) {
    layer.attention.shape.heads = 8;
    layer.attention.shape.kv_heads = 4;
    layer.feed_forward.ffn = 40;
  }
}

struct Variant {
  const char* name;
  Change change;
};

const Variant kVariants[] = {
    {"heads_of_their_own", divisible},
    {"shared_heads_of_keys",
     [](DecoderConfig& c) {
       divisible(c);
       for (LayerConfig& layer : c.layers) layer.attention.shape.kv_heads = 2;
     }},
    {"one_head_of_keys_in_one_layer",
     [](DecoderConfig& c) {
       divisible(c);
       c.layers[1].attention.shape.kv_heads = 1;
     }},
    {"norms_after_and_windows",
     [](DecoderConfig& c) {
       divisible(c);
       testing::set_windows(c, {7, 0});
       for (LayerConfig& layer : c.layers) layer.placement = NormPlacement::before_and_after;
       c.logit_softcap = 3;
       c.embedding_scale = 2;
     }},
    {"norms_of_heads_and_multipliers",
     [](DecoderConfig& c) {
       divisible(c);
       for (LayerConfig& layer : c.layers) {
         layer.residual_scale = 0.4f;
         layer.attention.query_key_norm = {c.norm, QueryKeyNorm::Span::head};
       }
       c.logit_divisor = 3;
     }},
    {"keys_of_another_layer_and_values_of_keys",
     [](DecoderConfig& c) {
       divisible(c);
       c.layers[0].attention.values = ValueSource::keys;
       c.layers[0].attention.value_norm = {.kind = NormKind::rms, .weight = NormWeight::none};
       c.layers[1].attention.keys_of = 0;
     }},
    {"experts",  // six by four slices: 1, 2, 1 and 2
     [](DecoderConfig& c) {
       divisible(c);
       c.layers[1].experts = testing::tiny_experts();
     }},
    {"experts_beside_the_feed_forward",
     [](DecoderConfig& c) {
       divisible(c);
       c.layers[0].experts = testing::tiny_experts();
       c.layers[0].experts_place = ExpertsPlace::beside;
     }},
    {"delta_net",
     [](DecoderConfig& c) {
       divisible(c);
       GatedDeltaNetConfig delta = testing::tiny_delta_net();
       delta.key_heads = 4;
       delta.value_heads = 8;
       testing::make_recurrent(c.layers[0], delta);
     }},
    {"delta_net_whose_slices_share_key_heads",
     [](DecoderConfig& c) {
       divisible(c);
       testing::make_recurrent(c.layers[0], testing::tiny_delta_net());
     }},
    {"delta_net_with_key_heads_in_turn",
     [](DecoderConfig& c) {
       divisible(c);
       GatedDeltaNetConfig delta = testing::tiny_delta_net();
       delta.value_heads = 8;
       delta.sharing = HeadSharing::in_turn;
       testing::make_recurrent(c.layers[0], delta);
       delta.key_heads = 4;
       testing::make_recurrent(c.layers[1], delta);
     }},
    {"short_convolutions",
     [](DecoderConfig& c) {
       divisible(c);
       testing::make_recurrent(c.layers[0], testing::tiny_convolution());
     }},
    {"parts_that_slices_do_not_divide",
     [](DecoderConfig& c) {
       divisible(c);
       c.layers[0].attention.shape.heads = 6;
       c.layers[0].attention.shape.kv_heads = 3;
       c.layers[1].feed_forward.ffn = 37;
     }},
};

std::vector<std::int32_t> ids(std::size_t count) {
  std::vector<std::int32_t> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<std::int32_t>((i * 31 + 7) % 61);
  return all;
}

class SlicedDecoder : public ::testing::TestWithParam<Variant> {};

/// The logits that rank 0 gets.
Matrix<float> logits_by(std::size_t processes, const Variant& variant, Precision precision,
                        const Prompt& prompt) {
  Matrix<float> logits;
  testing::as_processes(processes, [&](const std::shared_ptr<Communicator>& own) {
    const auto slices = std::make_shared<const Slices>(4, own);
    const auto decoder = tiny_decoder(variant.change, precision, slices);
    if (own->rank() == 0) {
      logits = logits_in_one_piece(*decoder, prompt);
      own->send(MessageWriter(MessageKind::end).bytes());
      return;
    }
    StepFollower follower(decoder);
    for (;;) {
      const std::vector<std::byte> bytes = own->receive();
      const MessageReader message(bytes);
      if (message.kind() == MessageKind::end) return;
      follower.follow(message);
    }
  });
  return logits;
}

TEST_P(SlicedDecoder, OneTwoAndFourProcessesGiveTheSameBits) {
  Prompt prompt = *prompt_of(ids(40), 9);
  Matrix<float> rows(3, 24);
  std::fill_n(rows.data(), 3 * 24, 0.25f);
  const auto shared = std::make_shared<const Matrix<float>>(std::move(rows));
  prompt.features.push_back({.begin = 4, .rows = shared});
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const Matrix<float> alone = logits_by(1, GetParam(), precision, prompt);
    ASSERT_EQ(alone.rows(), prompt.tokens());
    for (const std::size_t processes : {2u, 4u}) {
      const Matrix<float> logits = logits_by(processes, GetParam(), precision, prompt);
      ASSERT_EQ(logits.bytes(), alone.bytes());
      EXPECT_EQ(std::memcmp(logits.data(), alone.data(), alone.bytes()), 0)
          << processes << " processes, " << to_string(precision);
    }
  }
}

TEST_P(SlicedDecoder, ComputesWhatTheWholeDoes) {
  const auto prompt = prompt_of(ids(50));
  const Matrix<float> whole = logits_in_one_piece(*tiny_decoder(GetParam().change), *prompt);
  const Matrix<float> sliced = logits_by(1, GetParam(), Precision::f32, *prompt);
  for (std::size_t i = 0; i < whole.rows() * whole.cols(); ++i)
    ASSERT_NEAR(sliced.data()[i], whole.data()[i], 1e-3) << i;
}

INSTANTIATE_TEST_SUITE_P(All, SlicedDecoder, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return info.param.name; });

std::string why_whole(const LayerConfig& layer, std::size_t slices) {
  std::string all;
  for (const WholePart& part : whole_parts(layer, slices)) all += part.part + ": " + part.why + "; ";
  return all;
}

TEST(SlicedLayers, SayWhatIsWholeAndWhy) {
  const DecoderConfig config = testing::tiny_config();
  LayerConfig layer = config.layers[0];
  EXPECT_EQ(why_whole(layer, 1), "");
  EXPECT_EQ(why_whole(layer, 2), "feed-forward: 37 columns cannot be divided into 2 slices; ");
  layer.feed_forward.ffn = 40;
  EXPECT_EQ(why_whole(layer, 4), "");
  EXPECT_EQ(why_whole(layer, 8), "attention: 4 attention heads cannot be divided into 8 slices; ");
  layer.attention.shape.heads = 12;
  layer.attention.shape.kv_heads = 6;
  EXPECT_EQ(why_whole(layer, 4), "attention: 6 heads of keys and values cannot be divided into 4 slices; ");
  layer = config.layers[0];
  layer.feed_forward.ffn = 40;
  layer.experts = testing::tiny_experts();
  EXPECT_EQ(why_whole(layer, 4), "");
  EXPECT_EQ(why_whole(layer, 8),
            "attention: 4 attention heads cannot be divided into 8 slices; "
            "mixture of experts: 6 experts cannot be divided into 8 slices; ");
  layer.experts->shared->ffn = 14;
  EXPECT_EQ(why_whole(layer, 4), "mixture of experts: 14 columns cannot be divided into 4 slices; ");
  layer.experts.reset();
  layer.attention.query_key_norm = {config.norm, QueryKeyNorm::Span::all_heads};
  EXPECT_EQ(why_whole(layer, 2), "attention: a norm goes over all heads' queries together; ");
  testing::make_recurrent(layer, testing::tiny_convolution());
  EXPECT_EQ(why_whole(layer, 8), "");
  EXPECT_EQ(why_whole(layer, 16),
            "recurrent part: 24 channels cannot be divided into 16 slices; "
            "feed-forward: 40 columns cannot be divided into 16 slices; ");
  testing::make_recurrent(layer, testing::tiny_delta_net());
  EXPECT_EQ(why_whole(layer, 4), "");
  EXPECT_EQ(why_whole(layer, 8), "recurrent part: 4 value heads cannot be divided into 8 slices; ");
}

// A process's part of the weights and of the cache is a quarter.
TEST(SlicedLayers, EachProcessHasItsShare) {
  const std::size_t whole = tiny_decoder(divisible)->bytes();
  testing::as_processes(4, [&](const std::shared_ptr<Communicator>& own) {
    const auto decoder = tiny_decoder(divisible, Precision::f32, std::make_shared<const Slices>(4, own));
    EXPECT_EQ(decoder->config().layers[0].attention.shape.kv_heads, 1u);
    EXPECT_LT(decoder->bytes(), whole * 3 / 4);  // the embedding, which is mapped, is counted in each
  });
}

// Of experts and states too: all that a process has of a layer beside its router and norms.
TEST(SlicedLayers, EachProcessHasItsShareOfExpertsAndStates) {
  const auto change = [](DecoderConfig& config) {
    divisible(config);
    testing::make_recurrent(config.layers[0], testing::tiny_convolution());
    for (LayerConfig& layer : config.layers) {
      layer.experts = testing::tiny_experts();
      layer.experts->experts.experts = layer.experts->router.experts = 32;
    }
  };
  const auto whole = tiny_decoder(change);
  const std::size_t embedding = 300 * 24 * sizeof(float);
  testing::as_processes(4, [&](const std::shared_ptr<Communicator>& own) {
    const auto decoder = tiny_decoder(change, Precision::f32, std::make_shared<const Slices>(4, own));
    EXPECT_LT(decoder->bytes() - embedding, (whole->bytes() - embedding) * 3 / 10);
    EXPECT_EQ(state_floats(*decoder->config().layers[0].recurrent),
              state_floats(*whole->config().layers[0].recurrent) / 4);
  });
}

}  // namespace
}  // namespace mmbatch
