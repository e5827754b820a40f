#include "fusion/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/weights/safetensors_folder.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ModelFolder;
using testing::TensorFile;
using Json = nlohmann::json;

/// The spec of a config beside tensors of which only names and shapes count.
ModelSpec spec_of(const std::string& config, const std::function<void(TensorFile&)>& tensors) {
  const testing::TemporaryFolder folder;
  TensorFile file;
  tensors(file);
  file.write(folder.path() / "model.safetensors");
  const Config parsed = Config::parse(config, "config.json");
  return find_family(parsed).parse(parsed, SafetensorsFolder(folder.path()));
}

/// Of each decoder layer.
std::vector<std::size_t> windows(const ModelSpec& spec) {
  std::vector<std::size_t> windows;
  for (const LayerConfig& layer : spec.decoder.layers) windows.push_back(layer.attention.shape.window);
  return windows;
}

void add_embedding(TensorFile& file, const std::string& prefix) {
  file.add(prefix + "embed_tokens.weight", {1, 1}, {0});
}

TEST(Families, EachNamesItselfOnce) {
  std::set<std::string_view> names, architectures;
  for (const Family& family : families()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    for (const std::string_view one : family.architectures)
      EXPECT_TRUE(architectures.insert(one).second) << one;
  }
  EXPECT_EQ(names.size(), families().size());
}

TEST(Families, LlamaDefaultsHoldWhereNothingIsSaid) {
  const ModelSpec spec = spec_of(R"({"architectures":["LlamaForCausalLM"]})", [](TensorFile& file) {
    add_embedding(file, "model.");
    file.add("lm_head.weight", {1}, {0});
  });
  EXPECT_EQ(spec.decoder.vocab, 32000u);
  EXPECT_EQ(spec.decoder.hidden, 4096u);
  EXPECT_EQ(spec.decoder.layers.size(), 32u);
  EXPECT_EQ(spec.decoder.layers[0].feed_forward.ffn, 11008u);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.heads, 32u);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.kv_heads, 32u);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.head_dim, 128u);
  EXPECT_EQ(spec.decoder.max_positions, 2048u);
  EXPECT_EQ(spec.decoder_names.head, "lm_head");
  EXPECT_THAT(spec.eos, ElementsAre(2));
}

TEST(Families, MistralTellsNullFromAbsent) {
  const auto spec = [](const std::string& more) {
    return spec_of(R"({"architectures":["MistralForCausalLM"],"num_hidden_layers":2)" + more + "}",
                   [](TensorFile& file) {
                     add_embedding(file, "model.");
                     file.add("lm_head.weight", {1}, {0});
                   });
  };
  EXPECT_THAT(windows(spec("")), ElementsAre(4096, 4096));
  EXPECT_THAT(windows(spec(R"(,"sliding_window":null)")), ElementsAre(0, 0));
  EXPECT_THAT(windows(spec(R"(,"sliding_window":7)")), ElementsAre(7, 7));
  EXPECT_EQ(spec("").decoder.layers[0].attention.shape.kv_heads, 8u);
  EXPECT_EQ(spec(R"(,"num_key_value_heads":null)").decoder.layers[0].attention.shape.kv_heads, 32u);
  EXPECT_EQ(spec("").decoder.layers[0].feed_forward.ffn, 14336u);
}

TEST(Families, QwenHasWindowsOnlyWhereItSaysSo) {
  const auto spec = [](const std::string& more) {
    return spec_of(R"({"architectures":["Qwen2ForCausalLM"],"num_hidden_layers":3,"sliding_window":7,)"
                   R"("max_window_layers":1)" +
                       more + "}",
                   [](TensorFile& file) {
                     add_embedding(file, "model.");
                     file.add("lm_head.weight", {1}, {0});
                   });
  };
  EXPECT_THAT(windows(spec("")), ElementsAre(0, 0, 0));
  EXPECT_THAT(windows(spec(R"(,"use_sliding_window":true)")), ElementsAre(0, 7, 7));
  EXPECT_THAT(windows(spec(R"(,"use_sliding_window":true,"layer_types":["sliding_attention",)"
                           R"("full_attention","full_attention"])")),
              ElementsAre(7, 0, 0));
  const SelfAttentionConfig attention = spec("").decoder.layers[0].attention;
  EXPECT_EQ(attention.bias, Bias::present);
  EXPECT_EQ(attention.output_bias, Bias::absent);
}

TEST(Families, Qwen3NormsEachHead) {
  const ModelSpec spec = spec_of(R"({"architectures":["Qwen3ForCausalLM"]})", [](TensorFile& file) {
    add_embedding(file, "model.");
    file.add("lm_head.weight", {1}, {0});
  });
  const SelfAttentionConfig attention = spec.decoder.layers[0].attention;
  EXPECT_EQ(attention.shape.head_dim, 128u);
  EXPECT_EQ(attention.bias, Bias::absent);
  ASSERT_TRUE(attention.query_key_norm);
  EXPECT_EQ(attention.query_key_norm->span, QueryKeyNorm::Span::head);
  EXPECT_EQ(spec.decoder_names.layers.attention.query_norm, "model.layers.{layer}.self_attn.q_norm");
}

/// A text model of four layers whose config says `more`.
ModelSpec four_layers(const std::string& architecture, const std::string& more) {
  return spec_of(R"({"architectures":[")" + architecture + R"("],"num_hidden_layers":4)" + more + "}",
                 [](TensorFile& file) {
                   add_embedding(file, "model.");
                   file.add("lm_head.weight", {1}, {0});
                 });
}

TEST(Families, Qwen3MoeHasExpertsWhereTheConfigSaysSo) {
  const auto with_experts = [](const std::string& more) {
    std::vector<bool> found;
    for (const LayerConfig& layer : four_layers("Qwen3MoeForCausalLM", more).decoder.layers)
      found.push_back(layer.experts.has_value());
    return found;
  };
  EXPECT_THAT(with_experts(""), ElementsAre(true, true, true, true));
  EXPECT_THAT(with_experts(R"(,"decoder_sparse_step":2)"), ElementsAre(false, true, false, true));
  EXPECT_THAT(with_experts(R"(,"mlp_only_layers":[0,3])"), ElementsAre(false, true, true, false));

  const MixtureOfExpertsConfig plain = *four_layers("Qwen3MoeForCausalLM", "").decoder.layers[0].experts;
  EXPECT_EQ(plain.experts.experts, 128u);
  EXPECT_EQ(plain.experts.ffn, 768u);
  EXPECT_EQ(plain.router.top_k, 8u);
  EXPECT_EQ(plain.router.sum, RouterSum::as_it_is);
  const ModelSpec spec = four_layers("Qwen3MoeForCausalLM", R"(,"num_local_experts":6,"norm_topk_prob":true,)"
                                                            R"("num_experts_per_tok":2,"sliding_window":9,)"
                                                            R"("use_sliding_window":true)");
  EXPECT_EQ(spec.decoder.layers[0].experts->experts.experts, 6u);
  EXPECT_EQ(spec.decoder.layers[0].experts->router.sum, RouterSum::one);
  EXPECT_THAT(windows(spec), ElementsAre(9, 9, 9, 9));
  EXPECT_EQ(spec.decoder_names.layers.of(2).experts.experts.down,
            "model.layers.2.mlp.experts.{expert}.down_proj");
}

TEST(Families, NumbersOfExpertsThatCannotBeAreRefused) {
  const auto message = [](const std::string& more) {
    try {
      four_layers("Qwen3MoeForCausalLM", more);
    } catch (const ModelError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(R"(,"num_experts":4)"), HasSubstr("'num_experts_per_tok': 8, but there are only 4"));
  EXPECT_THAT(message(R"(,"num_experts":16,"num_local_experts":8)"), HasSubstr("only one of the two"));
  EXPECT_THAT(message(R"(,"mlp_only_layers":[-1])"), HasSubstr("'mlp_only_layers'"));
  EXPECT_THAT(message(R"(,"decoder_sparse_step":0)"), HasSubstr("'decoder_sparse_step'"));
}

TEST(Families, GptOssHasSinksWindowsAndExpertsEverywhere) {
  const ModelSpec spec = four_layers("GptOssForCausalLM", "");
  EXPECT_THAT(windows(spec), ElementsAre(128, 0, 128, 0));
  const LayerConfig& layer = spec.decoder.layers[3];
  EXPECT_EQ(layer.attention.bias, Bias::present);
  EXPECT_EQ(layer.attention.output_bias, Bias::present);
  EXPECT_EQ(layer.attention.rope->scaling, RopeScaling::yarn);
  EXPECT_NEAR(layer.attention.rope->magnitude, 1.34657, 1e-5);
  ASSERT_TRUE(layer.experts);
  EXPECT_EQ(layer.experts->router.scores, RouterScores::softmax_top_k);
  EXPECT_EQ(layer.experts->router.top_k, 4u);
  EXPECT_EQ(layer.experts->experts.order, GateUpOrder::interleaved);
  ASSERT_TRUE(layer.experts->gating.clamped);
  EXPECT_EQ(layer.experts->gating.clamped->limit, 7.0f);
  EXPECT_EQ(spec.decoder_names.layers.of(1).attention.sinks, "model.layers.1.self_attn.sinks");
}

/// The spec of a config without weights, but for an embedding and a head.
ModelSpec text_spec(const std::string& json, const std::string& embedding = "model.embed_tokens.weight") {
  return spec_of(json, [&](TensorFile& file) {
    file.add(embedding, {1, 1}, {0});
    file.add("lm_head.weight", {1}, {0});
  });
}

TEST(Families, Gemma3HasTwoRotationsByKindOfLayer) {
  const std::string start = R"({"architectures":["Gemma3ForCausalLM"],"num_hidden_layers":7)";
  const ModelSpec older = text_spec(start + R"(,"rope_scaling":{"rope_type":"linear","factor":8}})");
  EXPECT_THAT(windows(older), ElementsAre(4096, 4096, 4096, 4096, 4096, 0, 4096));
  const auto rope = [](const ModelSpec& spec, std::size_t layer) {
    return *spec.decoder.layers[layer].attention.rope;
  };
  EXPECT_EQ(rope(older, 0), (RopeConfig{.theta = 1e4}));
  EXPECT_EQ(rope(older, 5).theta, 1e6);
  EXPECT_EQ(rope(older, 5).factor, 8);
  const ModelSpec newer = text_spec(
      start +
      R"(,"rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,"rope_theta":1000000},)"
      R"("sliding_attention":{"rope_type":"default","rope_theta":10000}}})");
  EXPECT_EQ(rope(newer, 0), rope(older, 0));
  EXPECT_EQ(rope(newer, 5), rope(older, 5));
  EXPECT_EQ(newer.decoder.norm.offset, 1.0f);
  EXPECT_EQ(newer.decoder.layers[0].attention.query_key_norm->norm.offset, 1.0f);
  EXPECT_EQ(newer.decoder_names.head, "");
}

TEST(Families, SmolLm3LeavesEveryFourthLayerUnrotatedUnlessToldWhich) {
  const auto rotated = [](const std::string& more) {
    std::vector<bool> rotated;
    for (const LayerConfig& layer :
         text_spec(R"({"architectures":["SmolLM3ForCausalLM"],"num_hidden_layers":5)" + more + "}")
             .decoder.layers)
      rotated.push_back(layer.attention.rope.has_value());
    return rotated;
  };
  EXPECT_THAT(rotated(""), ElementsAre(true, true, true, false, true));
  EXPECT_THAT(rotated(R"(,"no_rope_layers":[0,1,1,1,0])"), ElementsAre(false, true, true, true, false));
  EXPECT_THROW(rotated(R"(,"no_rope_layers":[0,1])"), ModelError);
}

TEST(Families, Phi3RotatesAPartWithFactorsForShortAndLong) {
  const auto rope = [](const std::string& more) {
    return *text_spec(R"({"architectures":["Phi3ForCausalLM"],"hidden_size":64,"num_attention_heads":4,)"
                      R"("max_position_embeddings":131072,"rope_scaling":{"type":"su",)" +
                      more)
                .decoder.layers[0]
                .attention.rope;
  };
  const RopeConfig found =
      rope(R"("short_factor":[1,1,1,1],"long_factor":[1,2,3,4]},"partial_rotary_factor":0.5})");
  EXPECT_EQ(found.scaling, RopeScaling::longrope);
  EXPECT_EQ(found.dims, 8u);
  EXPECT_EQ(found.original_positions, 4096u);
  EXPECT_DOUBLE_EQ(found.magnitude, std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  EXPECT_THROW(rope(R"("short_factor":[1,1,1],"long_factor":[1,2,3,4]},"partial_rotary_factor":0.5})"),
               ModelError);
  EXPECT_THROW(rope(R"("short_factor":[1,1,0,1],"long_factor":[1,2,3,4]},"partial_rotary_factor":0.5})"),
               ModelError);
}

TEST(Families, GraniteMultipliesInFourPlaces) {
  const ModelSpec spec = text_spec(
      R"({"architectures":["GraniteForCausalLM"],"embedding_multiplier":12,"attention_multiplier":0.5,)"
      R"("residual_multiplier":0.25,"logits_scaling":8})");
  EXPECT_EQ(spec.decoder.embedding_scale, 12);
  EXPECT_EQ(spec.decoder.logit_divisor, 8);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.scale, 0.5f);
  EXPECT_EQ(spec.decoder.layers[0].residual_scale, 0.25f);
  EXPECT_EQ(text_spec(R"({"architectures":["GraniteForCausalLM"]})").decoder.layers[0].attention.shape.scale,
            1);
}

TEST(Families, Gpt2HasBothWaysOfNaming) {
  const std::string config =
      R"({"architectures":["GPT2LMHeadModel"],"n_layer":2,"scale_attn_by_inverse_layer_idx":true})";
  for (const std::string prefix : {"", "transformer."}) {
    const ModelSpec spec = text_spec(config, prefix + "wte.weight");
    EXPECT_EQ(spec.decoder_names.positions, prefix + "wpe");
    EXPECT_EQ(spec.decoder_names.layers.attention.query_key_value, prefix + "h.{layer}.attn.c_attn");
    EXPECT_EQ(spec.decoder.max_positions, 1024u);
    EXPECT_EQ(spec.decoder.layers[0].feed_forward.ffn, 3072u);
    EXPECT_FLOAT_EQ(spec.decoder.layers[0].attention.shape.scale, 1.0f / 8);
    EXPECT_FLOAT_EQ(spec.decoder.layers[1].attention.shape.scale, 1.0f / 16);
    EXPECT_FALSE(spec.decoder.layers[0].attention.rope);
  }
}

TEST(Families, GemmaIgnoresTheFirstFilesActivation) {
  const auto activation = [](const std::string& more) {
    return spec_of(R"({"architectures":["GemmaForCausalLM"])" + more + "}",
                   [](TensorFile& file) { add_embedding(file, "model."); })
        .decoder.layers[0]
        .feed_forward.activation;
  };
  EXPECT_EQ(activation(""), Activation::gelu_tanh);
  EXPECT_EQ(activation(R"(,"hidden_act":"gelu")"), Activation::gelu_tanh);
  EXPECT_EQ(activation(R"(,"hidden_act":"gelu","hidden_activation":null)"), Activation::gelu_tanh);
  EXPECT_EQ(activation(R"(,"hidden_activation":"gelu")"), Activation::gelu);
}

TEST(Families, GemmaTiesItsHeadUnlessToldNotTo) {
  const auto head = [](const std::string& more) {
    return spec_of(R"({"architectures":["GemmaForCausalLM"])" + more + "}",
                   [](TensorFile& file) {
                     add_embedding(file, "model.");
                     file.add("lm_head.weight", {1}, {0});
                   })
        .decoder_names.head;
  };
  EXPECT_EQ(head(""), "");
  EXPECT_EQ(head(R"(,"tie_word_embeddings":false)"), "lm_head");
}

// The class defaults of Gemma 2 changed: what is stored decides.
TEST(Families, Gemma2DefaultsAreToldApartByTheTensors) {
  const auto spec = [](std::size_t hidden, std::size_t query, std::size_t key, std::size_t ffn, int layers) {
    return spec_of(R"({"architectures":["Gemma2ForCausalLM"],"vocab_size":1})", [&](TensorFile& file) {
      const auto shape_only = [&](const std::string& name, std::size_t rows) {
        file.add(name, {rows, hidden}, std::vector<float>(rows * hidden));
      };
      shape_only("model.embed_tokens.weight", 1);
      if (layers == 0) return;
      shape_only("model.layers.0.self_attn.q_proj.weight", query);
      shape_only("model.layers.0.self_attn.k_proj.weight", key);
      if (ffn > 0) shape_only("model.layers.0.mlp.up_proj.weight", ffn);
      file.add("model.layers." + std::to_string(layers - 1) + ".input_layernorm.weight", {1}, {0});
    });
  };
  const ModelSpec later = spec(2304, 2048, 1024, 0, 26);
  EXPECT_EQ(later.decoder.layers[0].attention.shape.heads, 8u);
  EXPECT_EQ(later.decoder.layers[0].attention.shape.kv_heads, 4u);
  EXPECT_EQ(later.decoder.layers[0].feed_forward.ffn, 9216u);
  EXPECT_FLOAT_EQ(later.decoder.layers[0].attention.shape.scale, 1.0f / 16);
  const ModelSpec first = spec(3072, 4096, 4096, 0, 28);
  EXPECT_EQ(first.decoder.layers[0].attention.shape.heads, 16u);
  EXPECT_FLOAT_EQ(first.decoder.layers[0].attention.shape.scale, static_cast<float>(1 / std::sqrt(224.0)));
  EXPECT_EQ(first.decoder.layers[0].attention.shape.window, 4096u);
  EXPECT_EQ(first.decoder.layers[1].attention.shape.window, 0u);
  EXPECT_FLOAT_EQ(first.decoder.layers[0].attention.shape.softcap, 50);
  EXPECT_FLOAT_EQ(first.decoder.logit_softcap, 30);
  EXPECT_EQ(spec(64, 0, 0, 0, 0).decoder.hidden, 2304u);  // neither: the tensors' check will say so
}

TEST(Families, ALlavaOfDefaultsIsTheFirstPublishedOne) {
  const ModelSpec spec =
      spec_of(R"({"architectures":["LlavaForConditionalGeneration"],"text_config":{"vocab_size":32064}})",
              [](TensorFile& file) {
                add_embedding(file, "model.language_model.");
                file.add("lm_head.weight", {1}, {0});
                file.add("model.vision_tower.vision_model.embeddings.position_embedding.weight", {1}, {0});
                file.add("model.multi_modal_projector.linear_1.weight", {1}, {0});
              });
  EXPECT_EQ(spec.image_token_id, 32000);
  EXPECT_EQ(spec.decoder_names.norm, "model.language_model.norm");
  EXPECT_EQ(spec.decoder_names.head, "lm_head");
  EXPECT_EQ(spec.vision->prefix, "model.vision_tower.vision_model.");
  EXPECT_EQ(spec.vision->encoder.hidden(), 1024u);
  EXPECT_EQ(spec.vision->encoder.run_layers, 23u);
  EXPECT_EQ(spec.vision->encoder.feature_tokens(), 576u);
  EXPECT_EQ(spec.vision->projector.out(), 4096u);
  EXPECT_EQ(spec.turn_format, "user_assistant");
}

// transformers' class has the head alone, and Gemma scales what it embeds.
TEST(Families, ALlavaLeavesOutWhatItsTextModelDoesToImagesAndLogits) {
  const auto spec = [](const char* text) {
    return spec_of(
        R"({"architectures":["LlavaForConditionalGeneration"],"image_token_index":1,"text_config":)" +
            std::string(text) + "}",
        [](TensorFile& file) {
          add_embedding(file, "language_model.model.");
          file.add("language_model.lm_head.weight", {1}, {0});
          file.add("vision_tower.vision_model.embeddings.position_embedding.weight", {1}, {0});
          file.add("multi_modal_projector.linear_1.weight", {1}, {0});
        });
  };
  const ModelSpec granite =
      spec(R"({"model_type":"granite","vocab_size":2,"embedding_multiplier":12,"logits_scaling":8})");
  EXPECT_EQ(granite.decoder.logit_divisor, 1);
  EXPECT_EQ(granite.vision->projector.ops.size(), 2u) << "Granite multiplies every row";
  const ModelSpec gemma = spec(R"({"model_type":"gemma2","vocab_size":2,"hidden_size":256,"head_dim":256})");
  EXPECT_EQ(gemma.decoder.logit_softcap, 0);
  EXPECT_FLOAT_EQ(std::get<ScaleOp>(gemma.vision->projector.ops.at(2)).factor, 1.0f / 16);
}

TEST(Families, Ministral3HasARotationOfItsOwnWhereNoneIsWritten) {
  const auto rope = [](const char* more) {
    const std::string config = R"({"architectures":["Ministral3ForCausalLM"])" + std::string(more) + "}";
    return *text_spec(config).decoder.layers[0].attention.rope;
  };
  const RopeConfig own = rope("");
  EXPECT_EQ(own.scaling, RopeScaling::yarn);
  EXPECT_EQ(own.theta, 1e6);
  EXPECT_EQ(own.factor, 16);
  EXPECT_EQ(own.original_positions, 16384u);
  EXPECT_EQ(own.query_scale_beta, 0.1);
  EXPECT_EQ(rope(R"(,"rope_parameters":{"rope_type":"default","rope_theta":500.0})").scaling,
            RopeScaling::none);
}

TEST(Families, ScaledRotationsReachFartherThanWhatWasTrained) {
  const auto positions = [](const char* scaling) {
    return text_spec(
               R"({"architectures":["LlamaForCausalLM"],"max_position_embeddings":1000,"rope_scaling":)" +
               std::string(scaling) + "}")
        .decoder.max_positions;
  };
  EXPECT_EQ(positions(R"({"type":"dynamic","factor":3.0})"), 3000u);
  EXPECT_EQ(positions(R"({"type":"yarn","factor":4.0})"), 4000u);
  EXPECT_EQ(positions(R"({"type":"yarn","factor":4.0,"original_max_position_embeddings":250})"), 1000u);
  EXPECT_EQ(positions(R"({"type":"linear","factor":4.0})"), 1000u) << "is said by max_position_embeddings";
}

TEST(Families, APaliGemmaOfDefaultsIsThePublishedOne) {
  const ModelSpec spec =
      spec_of(R"({"architectures":["PaliGemmaForConditionalGeneration"],"image_token_index":257151})",
              [](TensorFile& file) {
                add_embedding(file, "language_model.model.");
                file.add("vision_tower.vision_model.embeddings.position_embedding.weight", {1}, {0});
                file.add("multi_modal_projector.linear.weight", {1}, {0});
              });
  EXPECT_EQ(spec.decoder.vocab, 257152u);
  EXPECT_EQ(spec.decoder.hidden, 2048u);
  EXPECT_EQ(spec.decoder.layers.size(), 18u);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.kv_heads, 1u);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.head_dim, 256u);
  EXPECT_FLOAT_EQ(spec.decoder.embedding_scale, std::sqrt(2048.0f));
  EXPECT_EQ(spec.decoder.layers[0].norm.offset, 1.0f);
  EXPECT_EQ(spec.decoder_names.head, "");
  EXPECT_EQ(spec.vision->encoder.hidden(), 1152u);
  EXPECT_EQ(spec.vision->encoder.layer.feed_forward.ffn, 4304u);
  EXPECT_EQ(spec.vision->encoder.feature_tokens(), 256u);
  EXPECT_EQ(spec.vision->encoder.run_layers, 27u);
  EXPECT_EQ(spec.visibility, PromptVisibility::prompt);
  EXPECT_EQ(spec.placement, ImagePlacement::before_text);
  EXPECT_THAT(spec.suppressed, ElementsAre(257151));
}

TEST(Families, PaliGemmaTakesGemma2Too) {
  const ModelSpec spec =
      spec_of(R"({"architectures":["PaliGemmaForConditionalGeneration"],"image_token_index":1,"text_config":)"
              R"({"model_type":"gemma2","vocab_size":2,"hidden_size":2304,"num_hidden_layers":26}})",
              [](TensorFile& file) {
                file.add("language_model.model.embed_tokens.weight", {2, 2304}, std::vector<float>(2 * 2304));
                file.add("language_model.model.layers.0.self_attn.k_proj.weight", {1024, 2304},
                         std::vector<float>(1024 * 2304));
                file.add("language_model.model.layers.25.input_layernorm.weight", {1}, {0});
                file.add("vision_tower.vision_model.embeddings.position_embedding.weight", {1}, {0});
                file.add("multi_modal_projector.linear.weight", {1}, {0});
              });
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.heads, 8u);
  EXPECT_EQ(spec.decoder.layers[0].placement, NormPlacement::before_and_after);
  EXPECT_EQ(spec.decoder.layers[0].attention.shape.ranges, RangeView::whole) << "a prompt sees all of itself";
  EXPECT_FLOAT_EQ(std::get<ScaleOp>(spec.vision->projector.ops.at(1)).factor, 1 / std::sqrt(2304.0f));
}

TEST(Families, ASiglipOfDefaultsIsTheBaseModel) {
  const auto spec = [](const std::string& more) {
    return spec_of(R"({"architectures":["SiglipModel"])" + more + "}",
                   [](TensorFile& file) { file.add("logit_scale", {1}, {0}); });
  };
  const ModelSpec base = spec("");
  ASSERT_TRUE(base.dual);
  EXPECT_EQ(base.vision->encoder.hidden(), 768u);
  EXPECT_EQ(base.vision->encoder.patch_size, 16u);
  EXPECT_EQ(base.vision->encoder.layer.feed_forward.activation, Activation::gelu_tanh);
  EXPECT_EQ(base.vision->tile_tokens(), 1u);
  EXPECT_EQ(base.dual->text.vocab, 32000u);
  EXPECT_EQ(base.dual->text.positions, 64u);
  EXPECT_EQ(base.dual->text.width, 768u);
  EXPECT_FLOAT_EQ(base.dual->text.layer.norm.eps, 1e-6f);
  EXPECT_EQ(base.vocab(), 32000u);
  EXPECT_EQ(
      spec(R"(,"text_config":{"hidden_size":96,"num_attention_heads":8,"projection_size":768})").width(),
      768u);
  EXPECT_THAT(testing::message_of<ModelError>([&] { spec(R"(,"text_config":{"projection_size":512})"); }),
              ::testing::HasSubstr("cannot be compared"));
  EXPECT_THAT(testing::message_of<ModelError>([&] { spec(R"(,"vision_config":{"vision_use_head":false})"); }),
              ::testing::HasSubstr("pooling head"));
}

TEST(Families, OnlyWhatWasAddedForPaddingIsNeverGenerated) {
  const auto suppressed = [](const char* folder) {
    return ModelFiles(testing::kReference / folder / "model").spec.suppressed;
  };
  EXPECT_THAT(suppressed("llava-gqa"), ElementsAre(480, 481));  // <image>, <pad>
  EXPECT_THAT(suppressed("paligemma"), ElementsAre(500));       // its <pad> is a piece
  EXPECT_THAT(suppressed("llama"), ElementsAre());              // pads with <unk>
}

TEST(Families, EndsOfSequenceMayBeSeveral) {
  const ModelFolder folder("gemma");
  folder.edit("generation_config.json", [](Json& c) { c["eos_token_id"] = Json::array({1, 107}); });
  EXPECT_THAT(ModelFiles(folder.path()).spec.eos, ElementsAre(1, 107));
  folder.edit("generation_config.json", [](Json& c) { c.erase("eos_token_id"); });
  folder.edit_config([](Json& c) { c["eos_token_id"] = 5; });
  EXPECT_THAT(ModelFiles(folder.path()).spec.eos, ElementsAre(5));
}

}  // namespace
}  // namespace mmbatch
