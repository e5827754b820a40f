// Text models whose GGUF files order, name and change tensors in a way of their own: written from reference
// folders as llama.cpp's converter does, they must answer as the folders do.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "engine/base/threads.h"
#include "engine/serve/engine.h"
#include "fusion/model.h"
#include "fusion/prompting.h"
#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/temporary_folder.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using testing::GgufBytes;
using testing::TemporaryFolder;
using Shape = std::vector<std::size_t>;
using Floats = std::vector<float>;

struct Stored {
  std::string name;
  Shape shape;
  Floats values;
};

/// A part of a layer and its name in GGUF.
using Parts = std::map<std::string, std::string>;

std::string packed(const std::vector<std::int32_t>& values) {
  std::string bytes = GgufBytes::number(std::uint32_t{5}) + GgufBytes::number(std::uint64_t{values.size()});
  for (const std::int32_t value : values) bytes += GgufBytes::number(value);
  return bytes;
}

class Written {
 public:
  Written(const std::string& folder, const std::string& architecture)
      : architecture_(architecture), source_(open_model(testing::kReference / folder / "model")) {
    file_.key("general.architecture", architecture);
  }

  const WeightSource& source() const { return *source_; }
  Config text_config() const {
    const Config text = source_->config().object("text_config");
    return text.has("hidden_size") ? text : source_->config();
  }
  void size(const std::string& key, std::size_t value) {
    file_.key(architecture_ + "." + key, static_cast<std::uint32_t>(value));
  }
  void number(const std::string& key, double value) {
    file_.key(architecture_ + "." + key, 6, GgufBytes::number(static_cast<float>(value)));
  }
  void numbers(const std::string& key, const std::vector<std::int32_t>& values) {
    file_.key(architecture_ + "." + key, 9, packed(values));
  }
  void copy(const std::string& key, const std::string& of_config) {
    size(key, static_cast<std::size_t>(text_config().integer(of_config, 0)));
  }

  /// @param change of the values, by the part's name
  void layers(const std::string& prefix, const Parts& parts,
              const std::function<void(Stored&)>& change = {}) {
    for (const auto& [name, tensor] : source_->tensors()) {
      if (name.compare(0, prefix.size(), prefix) != 0) continue;
      const std::string rest = name.substr(prefix.size());
      const std::size_t dot = rest.find('.');
      std::string part = rest.substr(dot + 1), ending;
      for (const char* end : {".weight", ".bias"}) {
        const std::string text = end;
        if (parts.count(part) == 0 && part.size() > text.size() &&
            part.substr(part.size() - text.size()) == text) {
          part.resize(part.size() - text.size());
          ending = text;
        }
      }
      const auto found = parts.find(part);
      if (found == parts.end()) continue;
      Stored stored{part, tensor.shape, to_floats(tensor)};
      if (change) change(stored);
      add("blk." + rest.substr(0, dot) + "." + found->second + ending, stored);
    }
  }
  void outer(const std::string& name, const std::string& as, float added = 0) {
    Stored stored{name, source_->tensor(name).shape, to_floats(source_->tensor(name))};
    for (float& value : stored.values) value += added;
    add(as, stored);
  }
  void add(const std::string& name, const Stored& stored) {
    const std::vector<std::uint64_t> sizes(stored.shape.rbegin(), stored.shape.rend());
    file_.tensor(name, sizes, 0,
                 {reinterpret_cast<const char*>(stored.values.data()), stored.values.size() * sizeof(float)});
  }

  std::filesystem::path write(const TemporaryFolder& folder) {
    const auto vocab = static_cast<std::size_t>(text_config().integer("vocab_size", 0));
    std::vector<std::string> tokens = {"<unk>"};
    while (tokens.size() < vocab) tokens.push_back("t" + std::to_string(tokens.size()));
    file_.key("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", tokens);
    file_.key("tokenizer.ggml.eos_token_id", 2u);
    file_.floats("tokenizer.ggml.scores", Floats(vocab, 0.0f));
    std::vector<std::int32_t> types(vocab, 1);
    types[0] = 2;
    file_.key("tokenizer.ggml.token_type", 9, packed(types));
    testing::write_file(folder.path() / "m.gguf", file_.bytes());
    return folder.path() / "m.gguf";
  }

 private:
  std::string architecture_;
  std::shared_ptr<const WeightSource> source_;
  GgufBytes file_;
};

/// The first tokens that a model writes behind some ids, and their log-probabilities.
Answer answer_of(const std::filesystem::path& place) {
  Arena arena(1);
  Answer answer;
  arena.run([&] {
    const auto model = Model::load(place);
    EngineOptions options;
    options.kv_blocks = 64;
    Engine engine(model->decoder(), {model->spec().decoder.vocab, {}, {}}, options);
    std::vector<std::int32_t> ids(20);
    std::iota(ids.begin(), ids.end(), 20);
    Request request;
    request.prompt = Prompting(model->files()).compose(ids, {});
    request.generation.max_new_tokens = 24;
    request.generation.logprobs = true;
    request.on_done = [&](Result<Completion> done) { answer = std::move(done.value().answers.at(0)); };
    engine.submit(std::move(request));
    while (engine.step()) {
    }
  });
  return answer;
}

void expect_equal(const std::string& folder, const std::filesystem::path& file) {
  const Answer expected = answer_of(testing::kReference / folder / "model"), found = answer_of(file);
  ASSERT_EQ(expected.tokens.size(), 24u);
  EXPECT_EQ(found.tokens, expected.tokens);
  ASSERT_EQ(found.logprobs.size(), expected.logprobs.size());
  for (std::size_t i = 0; i < found.logprobs.size(); ++i)
    EXPECT_NEAR(found.logprobs[i], expected.logprobs[i], 2e-4) << i;
}

TEST(GgufArchitectures, WeightsOfGpt2AreTurned) {
  Written file("gpt2", "gpt2");
  for (const auto& [key, name] : Parts{{"block_count", "n_layer"},
                                       {"context_length", "n_positions"},
                                       {"embedding_length", "n_embd"},
                                       {"attention.head_count", "n_head"}})
    file.copy(key, name);
  file.size("feed_forward_length", 4 * static_cast<std::size_t>(file.text_config().integer("n_embd", 0)));
  file.number("attention.layer_norm_epsilon", 1e-5);
  file.outer("wte.weight", "token_embd.weight");
  file.outer("wpe.weight", "position_embd.weight");
  for (const char* end : {".weight", ".bias"})
    file.outer(std::string("ln_f") + end, std::string("output_norm") + end);
  file.layers("h.",
              {{"ln_1", "attn_norm"},
               {"ln_2", "ffn_norm"},
               {"attn.c_attn", "attn_qkv"},
               {"attn.c_proj", "attn_output"},
               {"mlp.c_fc", "ffn_up"},
               {"mlp.c_proj", "ffn_down"}},
              [](Stored& stored) {
                if (stored.shape.size() < 2) return;
                const std::size_t rows = stored.shape[0], columns = stored.shape[1];
                Floats turned(stored.values.size());
                for (std::size_t r = 0; r < rows; ++r)
                  for (std::size_t c = 0; c < columns; ++c)
                    turned[c * rows + r] = stored.values[r * columns + c];
                stored.values = turned;
                stored.shape = {columns, rows};
              });
  const TemporaryFolder folder;
  expect_equal("gpt2", file.write(folder));
}

TEST(GgufArchitectures, AFactorWithoutATypeStretchesLinearly) {
  const auto scaling = [](const std::map<std::string, double>& numbers) {
    Written file("llama", "llama");
    for (const auto& [key, name] : Parts{{"block_count", "num_hidden_layers"},
                                         {"context_length", "max_position_embeddings"},
                                         {"embedding_length", "hidden_size"},
                                         {"feed_forward_length", "intermediate_size"},
                                         {"attention.head_count", "num_attention_heads"}})
      file.copy(key, name);
    file.number("attention.layer_norm_rms_epsilon", 1e-5);
    for (const auto& [key, value] : numbers) file.number(key, value);
    file.outer("model.embed_tokens.weight", "token_embd.weight");
    const TemporaryFolder folder;
    return open_model(file.write(folder))->config().object("rope_scaling");
  };
  EXPECT_EQ(scaling({{"rope.scaling.factor", 4}}).text("rope_type", ""), "linear");
  EXPECT_EQ(scaling({{"rope.scale_linear", 4}}).number("factor", 0), 4);
  EXPECT_EQ(scaling({{"rope.scaling.factor", 1}}).text("rope_type", ""), "");
}

TEST(GgufArchitectures, Lfm2SaysByItsKeyHeadsWhichLayersAttend) {
  Written file("lfm2-vl", "lfm2");
  for (const auto& [key, name] : Parts{{"block_count", "num_hidden_layers"},
                                       {"context_length", "max_position_embeddings"},
                                       {"embedding_length", "hidden_size"},
                                       {"attention.head_count", "num_attention_heads"},
                                       {"shortconv.l_cache", "conv_L_cache"}})
    file.copy(key, name);
  const std::string prefix = "model.language_model.";
  file.size("feed_forward_length", file.source().tensor(prefix + "layers.0.feed_forward.w1.weight").rows());
  std::vector<std::int32_t> heads(
      static_cast<std::size_t>(file.text_config().integer("num_hidden_layers", 0)));
  for (const std::int64_t i : file.text_config().integers("full_attn_idxs"))
    heads.at(static_cast<std::size_t>(i)) =
        static_cast<std::int32_t>(file.text_config().integer("num_key_value_heads", 0));
  file.numbers("attention.head_count_kv", heads);
  file.number("attention.layer_norm_rms_epsilon", 1e-5);
  file.number("rope.freq_base", 1e6);
  file.outer(prefix + "embed_tokens.weight", "token_embd.weight");
  file.outer(prefix + "embedding_norm.weight", "token_embd_norm.weight");
  file.layers(prefix + "layers.",
              {{"operator_norm", "attn_norm"},
               {"ffn_norm", "ffn_norm"},
               {"self_attn.q_proj", "attn_q"},
               {"self_attn.k_proj", "attn_k"},
               {"self_attn.v_proj", "attn_v"},
               {"self_attn.out_proj", "attn_output"},
               {"self_attn.q_layernorm", "attn_q_norm"},
               {"self_attn.k_layernorm", "attn_k_norm"},
               {"feed_forward.w1", "ffn_gate"},
               {"feed_forward.w2", "ffn_down"},
               {"feed_forward.w3", "ffn_up"},
               {"conv.in_proj", "shortconv.in_proj"},
               {"conv.conv", "shortconv.conv"},
               {"conv.out_proj", "shortconv.out_proj"}},
              [](Stored& stored) {
                if (stored.name == "conv.conv") stored.shape = {stored.shape[0], stored.shape[2]};
              });
  const TemporaryFolder folder;
  expect_equal("lfm2-vl", file.write(folder));
}

TEST(GgufArchitectures, ValueHeadsOfQwen35TakeKeyHeadsInTurn) {
  Written file("qwen3-5", "qwen35");
  const Config config = file.text_config();
  const auto of = [&](const char* key) { return static_cast<std::size_t>(config.integer(key, 0)); };
  for (const auto& [key, name] : Parts{{"block_count", "num_hidden_layers"},
                                       {"context_length", "max_position_embeddings"},
                                       {"embedding_length", "hidden_size"},
                                       {"feed_forward_length", "intermediate_size"},
                                       {"attention.head_count", "num_attention_heads"},
                                       {"attention.head_count_kv", "num_key_value_heads"},
                                       {"attention.key_length", "head_dim"},
                                       {"attention.value_length", "head_dim"},
                                       {"ssm.conv_kernel", "linear_conv_kernel_dim"},
                                       {"ssm.state_size", "linear_key_head_dim"},
                                       {"ssm.group_count", "linear_num_key_heads"},
                                       {"ssm.time_step_rank", "linear_num_value_heads"}})
    file.copy(key, name);
  const std::size_t keys = of("linear_num_key_heads"), values = of("linear_num_value_heads");
  const std::size_t width = of("linear_value_head_dim"), turn = values / keys;
  ASSERT_GT(turn, 1u);
  file.size("ssm.inner_size", values * width);
  file.size("rope.dimension_count", of("head_dim") / 4);
  file.number("attention.layer_norm_rms_epsilon", 1e-6);
  file.number("rope.freq_base", config.object("rope_parameters").number("rope_theta", 0));
  const std::string prefix = "model.language_model.";
  file.outer(prefix + "embed_tokens.weight", "token_embd.weight");
  file.outer(prefix + "norm.weight", "output_norm.weight", 1.0f);
  file.outer("lm_head.weight", "output.weight");
  // Pieces of `size` elements, one of each head: neighbours of one key head part.
  const auto in_turn = [&](Floats& all, std::size_t first, std::size_t size) {
    const Floats before(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
    for (std::size_t k = 0; k < keys; ++k)
      for (std::size_t v = 0; v < turn; ++v)
        std::copy_n(before.begin() + static_cast<std::ptrdiff_t>((k * turn + v) * size), size,
                    all.begin() + static_cast<std::ptrdiff_t>(first + (v * keys + k) * size));
  };
  file.layers(prefix + "layers.",
              {{"input_layernorm", "attn_norm"},       {"post_attention_layernorm", "post_attention_norm"},
               {"self_attn.q_proj", "attn_q"},         {"self_attn.k_proj", "attn_k"},
               {"self_attn.v_proj", "attn_v"},         {"self_attn.o_proj", "attn_output"},
               {"self_attn.q_norm", "attn_q_norm"},    {"self_attn.k_norm", "attn_k_norm"},
               {"mlp.gate_proj", "ffn_gate"},          {"mlp.up_proj", "ffn_up"},
               {"mlp.down_proj", "ffn_down"},          {"linear_attn.in_proj_qkv", "attn_qkv"},
               {"linear_attn.in_proj_z", "attn_gate"}, {"linear_attn.in_proj_a", "ssm_alpha"},
               {"linear_attn.in_proj_b", "ssm_beta"},  {"linear_attn.conv1d", "ssm_conv1d"},
               {"linear_attn.norm", "ssm_norm"},       {"linear_attn.out_proj", "ssm_out"},
               {"linear_attn.A_log", "ssm_a"},         {"linear_attn.dt_bias", "ssm_dt.bias"}},
              [&](Stored& stored) {
                const std::string& name = stored.name;
                const std::size_t row = stored.values.size() / stored.shape[0];
                const std::size_t above = 2 * keys * of("linear_key_head_dim") * row;
                if (name.find("norm") != std::string::npos && name != "linear_attn.norm") {
                  for (float& value : stored.values) value += 1.0f;
                } else if (name == "linear_attn.in_proj_qkv" || name == "linear_attn.conv1d") {
                  in_turn(stored.values, above, width * row);
                } else if (name == "linear_attn.in_proj_z") {
                  in_turn(stored.values, 0, width * row);
                } else if (name == "linear_attn.out_proj") {
                  for (std::size_t r = 0; r < stored.shape[0]; ++r) {
                    Floats one(stored.values.begin() + static_cast<std::ptrdiff_t>(r * row),
                               stored.values.begin() + static_cast<std::ptrdiff_t>((r + 1) * row));
                    in_turn(one, 0, width);
                    std::copy(one.begin(), one.end(),
                              stored.values.begin() + static_cast<std::ptrdiff_t>(r * row));
                  }
                } else if (name.find("linear_attn") == 0 && name != "linear_attn.norm") {
                  in_turn(stored.values, 0, row);
                  if (name == "linear_attn.A_log") {
                    for (float& value : stored.values) value = -std::exp(value);
                  }
                }
                if (name == "linear_attn.conv1d") stored.shape = {stored.shape[0], stored.shape[2]};
              });
  const TemporaryFolder folder;
  expect_equal("qwen3-5", file.write(folder));
}

TEST(GgufArchitectures, Gemma4HasLayersOfTwoKinds) {
  Written file("gemma4", "gemma4");
  const Config config = file.text_config();
  const auto of = [&](const char* key) { return static_cast<std::size_t>(config.integer(key, 0)); };
  for (const auto& [key, name] : Parts{{"block_count", "num_hidden_layers"},
                                       {"context_length", "max_position_embeddings"},
                                       {"embedding_length", "hidden_size"},
                                       {"attention.head_count", "num_attention_heads"},
                                       {"expert_count", "num_experts"},
                                       {"expert_used_count", "top_k_experts"},
                                       {"expert_feed_forward_length", "moe_intermediate_size"},
                                       {"attention.key_length", "global_head_dim"},
                                       {"attention.value_length", "global_head_dim"},
                                       {"attention.key_length_swa", "head_dim"},
                                       {"attention.value_length_swa", "head_dim"},
                                       {"attention.sliding_window", "sliding_window"},
                                       {"attention.shared_kv_layers", "num_kv_shared_layers"},
                                       {"embedding_length_per_layer_input", "hidden_size_per_layer_input"}})
    file.copy(key, name);
  const std::size_t layers = of("num_hidden_layers"), own = layers - of("num_kv_shared_layers");
  std::vector<std::int32_t> sliding, widths, key_heads;
  for (const std::string& type : config.texts("layer_types")) {
    sliding.push_back(type == "sliding_attention" ? 1 : 0);
    const char* heads = sliding.back() != 0 ? "num_key_value_heads" : "num_global_key_value_heads";
    key_heads.push_back(static_cast<std::int32_t>(of(heads)));
    widths.push_back(static_cast<std::int32_t>(of("intermediate_size") * (widths.size() < own ? 1 : 2)));
  }
  file.numbers("attention.sliding_window_pattern", sliding);
  file.numbers("feed_forward_length", widths);
  file.numbers("attention.head_count_kv", key_heads);
  file.number("attention.layer_norm_rms_epsilon", 1e-6);
  file.number("rope.freq_base", 1e6);
  file.number("rope.freq_base_swa", 1e4);
  file.number("final_logit_softcapping", config.number("final_logit_softcapping", 0));
  Floats factors(of("global_head_dim") / 2, 1e30f);
  std::fill_n(factors.begin(), factors.size() / 2, 1.0f);  // as partial_rotary_factor says
  file.add("rope_freqs.weight", {"", {factors.size()}, factors});
  const std::string prefix = "model.language_model.";
  for (const auto& [name, as] : Parts{{"embed_tokens", "token_embd"},
                                      {"norm", "output_norm"},
                                      {"embed_tokens_per_layer", "per_layer_token_embd"},
                                      {"per_layer_model_projection", "per_layer_model_proj"},
                                      {"per_layer_projection_norm", "per_layer_proj_norm"}})
    file.outer(prefix + name + ".weight", as + ".weight");
  file.layers(prefix + "layers.", {{"input_layernorm", "attn_norm"},
                                   {"post_attention_layernorm", "post_attention_norm"},
                                   {"pre_feedforward_layernorm", "ffn_norm"},
                                   {"post_feedforward_layernorm", "post_ffw_norm"},
                                   {"self_attn.q_proj", "attn_q"},
                                   {"self_attn.k_proj", "attn_k"},
                                   {"self_attn.v_proj", "attn_v"},
                                   {"self_attn.o_proj", "attn_output"},
                                   {"self_attn.q_norm", "attn_q_norm"},
                                   {"self_attn.k_norm", "attn_k_norm"},
                                   {"mlp.gate_proj", "ffn_gate"},
                                   {"mlp.up_proj", "ffn_up"},
                                   {"mlp.down_proj", "ffn_down"},
                                   {"per_layer_input_gate", "inp_gate"},
                                   {"per_layer_projection", "proj"},
                                   {"post_per_layer_input_norm", "post_norm"},
                                   {"layer_scalar", "layer_output_scale.weight"},
                                   {"post_feedforward_layernorm_1", "post_ffw_norm_1"},
                                   {"pre_feedforward_layernorm_2", "pre_ffw_norm_2"},
                                   {"post_feedforward_layernorm_2", "post_ffw_norm_2"},
                                   {"router.proj", "ffn_gate_inp"},
                                   {"router.scale", "ffn_gate_inp.scale"},
                                   {"router.per_expert_scale", "ffn_down_exps.scale"},
                                   {"experts.gate_up_proj", "ffn_gate_up_exps.weight"},
                                   {"experts.down_proj", "ffn_down_exps.weight"}});
  const TemporaryFolder folder;
  expect_equal("gemma4", file.write(folder));
}

TEST(GgufArchitectures, ExpertsInOneTensorAndLayersThatOnlyPredict) {
  GgufBytes file;
  file.key("general.architecture", "qwen3moe").key("qwen3moe.block_count", 2u);
  file.key("qwen3moe.nextn_predict_layers", 1u).key("qwen3moe.context_length", 64u);
  file.key("qwen3moe.embedding_length", 2u).key("qwen3moe.attention.head_count", 1u);
  file.key("qwen3moe.expert_count", 2u).key("qwen3moe.expert_used_count", 1u);
  file.key("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a"});
  Floats values(2 * 4 * 2);
  std::iota(values.begin(), values.end(), 0.0f);
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  file.tensor("blk.0.ffn_gate_up_exps.weight", {2, 4, 2}, 0, bytes);
  file.tensor("blk.1.nextn.eh_proj.weight", {2, 4, 2}, 0, bytes);
  const TemporaryFolder folder;
  testing::write_file(folder.path() / "m.gguf", file.bytes());
  const auto model = open_model(folder.path() / "m.gguf");
  EXPECT_EQ(model->config().integer("num_hidden_layers", 0), 1);
  ASSERT_EQ(model->tensors().size(), 4u);
  const std::string expert = "model.layers.0.mlp.experts.1.";
  EXPECT_EQ(to_floats(model->tensor(expert + "gate_proj.weight", {2, 2})), (Floats{8, 9, 10, 11}));
  EXPECT_EQ(to_floats(model->tensor(expert + "up_proj.weight", {2, 2})), (Floats{12, 13, 14, 15}));
}

}  // namespace
}  // namespace mmbatch
