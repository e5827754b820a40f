#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "fusion/model.h"
#include "tests/engine/stored_tensors.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::TensorFile;
using testing::write_file;

const std::filesystem::path kData = MMBATCH_TEST_DATA, kModel = kData / "reference" / "llama" / "model";

ModelPlace with_adapters(std::vector<AdapterPlace> adapters) {
  return ModelPlace(kModel, {.projector = {}, .adapters = std::move(adapters)});
}

/// What peft computes with the same adapters, unmerged.
class Lora : public ::testing::TestWithParam<const char*> {};

TEST_P(Lora, GivesThePeftLibrarysLogits) {
  const Json expected = Json::parse(testing::read_file(kData / "lora" / "expected.json")).at(GetParam());
  const auto model = Model::load(with_adapters({{kData / "lora" / GetParam()}}));
  const std::vector<std::int32_t> ids = expected.at("ids");
  Prompt prompt;
  prompt.ids = ids;
  const Matrix<float> logits = testing::logits_in_one_piece(*model->decoder(), prompt);
  const std::vector<float> wanted = expected.at("logits");
  const Matrix<float> plain = testing::logits_in_one_piece(*Model::load(kModel)->decoder(), prompt);
  float change = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(logits.row(ids.size() - 1)[i], wanted[i], 2e-4) << i;
    change = std::max(change, std::abs(plain.row(ids.size() - 1)[i] - wanted[i]));
  }
  EXPECT_GT(change, 0.05f) << "the adapter does nothing";
}

INSTANTIATE_TEST_SUITE_P(Kinds, Lora, ::testing::Values("plain", "rslora-patterns", "dora"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

const std::string kWeight = "model.layers.0.self_attn.q_proj.weight";

TEST(LoraArithmetic, AdaptersAreAddedOneAfterAnother) {
  const auto base = open_model(kModel);
  const auto once = open_model(with_adapters({{kData / "lora" / "plain", 0.5}}));
  const auto twice =
      open_model(with_adapters({{kData / "lora" / "plain", 0.5}, {kData / "lora" / "plain", 1.5}}));
  const std::vector<float> w = to_floats(base->tensor(kWeight)), w1 = to_floats(once->tensor(kWeight)),
                           w2 = to_floats(twice->tensor(kWeight));
  float largest = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    EXPECT_NEAR(w2[i] - w[i], 4 * (w1[i] - w[i]), 1e-5f);
    largest = std::max(largest, std::abs(w1[i] - w[i]));
  }
  EXPECT_GT(largest, 0.01f);
  EXPECT_EQ(to_floats(once->tensor("model.layers.0.self_attn.k_proj.weight")),
            to_floats(base->tensor("model.layers.0.self_attn.k_proj.weight")));
}

TEST(LoraArithmetic, EveryRangeHasTheSameBits) {
  for (const char* kind : {"plain", "dora"}) {
    const auto model = open_model(with_adapters({{kData / "lora" / kind}}));
    for (const auto& [name, tensor] : model->tensors()) {
      if (!tensor.form) continue;
      const std::vector<float> whole = to_floats(tensor);
      std::vector<float> pieces(whole.size());
      for (std::size_t at = 0; at < whole.size(); at += 37)
        copy_as_float(tensor, at, std::min<std::size_t>(37, whole.size() - at), pieces.data() + at);
      EXPECT_EQ(pieces, whole) << kind << ' ' << name;
    }
  }
}

TEST(LoraFingerprint, AdaptersAndTheirScalesArePartOfIt) {
  const auto of = [](std::vector<AdapterPlace> adapters) {
    return open_model(with_adapters(std::move(adapters)))->fingerprint(FingerprintScope::samples);
  };
  const AdapterPlace plain{kData / "lora" / "plain"}, dora{kData / "lora" / "dora"};
  const std::vector<std::string> all = {of({}), of({plain}), of({{plain.folder, 0.5}}), of({plain, dora}),
                                        of({dora, plain})};
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(of({plain}), all[1]);
}

/// An adapter of rank 1 for one weight of the model, written by the test.
struct WrittenAdapter {
  TemporaryFolder folder;
  Json config = {{"peft_type", "LORA"}, {"r", 1}, {"lora_alpha", 2.0}};
  TensorFile file;

  void add(const std::string& module, std::size_t in, std::size_t out) {
    file.add_random("base_model.model." + module + ".lora_A.weight", {1, in}, 0, 1);
    file.add_random("base_model.model." + module + ".lora_B.weight", {out, 1}, 0, 1);
  }
  std::string error() {
    write_file(folder.path() / "adapter_config.json", config.dump());
    file.write(folder.path() / "adapter_model.safetensors");
    return message_of<ModelError>([&] { open_model(with_adapters({{folder.path()}})); });
  }
};

TEST(LoraArithmetic, TablesAndWholeTensors) {
  WrittenAdapter adapter;
  std::vector<float> a(480), b(64), head(480 * 64, 0.5f);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) / 4;
  const std::string table = "base_model.model.model.embed_tokens";
  adapter.file.add(table + ".lora_embedding_A", {1, 480}, a);
  adapter.file.add(table + ".lora_embedding_B", {64, 1}, b);
  adapter.file.add("base_model.model.lm_head.weight", {480, 64}, head);
  EXPECT_EQ(adapter.error(), "");
  const auto model = open_model(with_adapters({{adapter.folder.path()}})), base = open_model(kModel);
  EXPECT_EQ(to_floats(model->tensor("lm_head.weight")), head);
  const std::vector<float> found = to_floats(model->tensor("model.embed_tokens.weight")),
                           was = to_floats(base->tensor("model.embed_tokens.weight"));
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], was[i] + 2 * a[i / 64] * b[i % 64], 1e-5f) << i;
}

// As peft computes: what adapts one of the two leaves the other as it was.
TEST(LoraArithmetic, AnEmbeddingThatIsTheHeadTooIsAdaptedForItself) {
  const std::filesystem::path tied = kData / "reference" / "smollm3" / "model";
  const std::string name = "model.embed_tokens.weight", head = "lm_head.weight";
  const auto base = open_model(tied);
  ASSERT_FALSE(base->has(head));
  const std::vector<std::size_t> shape = base->tensor(name).shape;
  const std::vector<float> was = to_floats(base->tensor(name));
  const auto adapt = [&](const std::string& stored) {
    WrittenAdapter adapter;
    adapter.file.add_random("base_model.model." + stored, shape, 0, 1);
    adapter.add("model.layers.0.self_attn.q_proj", 64, 64);
    (void)adapter.error();  // writes the files
    ModelPlace place(tied);
    place.parts.adapters = {{adapter.folder.path()}};
    const auto model = open_model(place);
    EXPECT_FALSE(model->config().flag("tie_word_embeddings", true));
    EXPECT_THAT(model->read_file("config.json", 1 << 20).value(),
                HasSubstr("\"tie_word_embeddings\": false"));
    return std::pair(to_floats(model->tensor(name, shape)), to_floats(model->tensor(head, shape)));
  };
  const auto [embedding, same_head] = adapt(name);
  EXPECT_NE(embedding, was);
  EXPECT_EQ(same_head, was);
  const auto [same_embedding, new_head] = adapt(head);
  EXPECT_EQ(same_embedding, was);
  EXPECT_NE(new_head, was);
}

TEST(LoraErrors, NameWhatDoesNotFit) {
  {
    WrittenAdapter adapter;
    adapter.add("model.layers.9.self_attn.q_proj", 64, 64);
    EXPECT_THAT(adapter.error(),
                AllOf(HasSubstr("model.layers.9.self_attn.q_proj"), HasSubstr("another model")));
  }
  {
    WrittenAdapter adapter;
    adapter.add("model.layers.0.self_attn.q_proj", 60, 64);
    EXPECT_THAT(adapter.error(), AllOf(HasSubstr("expected shape [1, 64]"), HasSubstr("found [1, 60]")));
  }
  {
    WrittenAdapter adapter;
    adapter.file.add_random("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {1, 64}, 0, 1);
    EXPECT_THAT(adapter.error(), HasSubstr("lacks one of lora_A and lora_B"));
  }
  {
    WrittenAdapter adapter;
    EXPECT_THAT(adapter.error(), HasSubstr("has no tensors of LoRA"));
  }
  for (const auto& [key, value] :
       std::multimap<std::string, Json>{{"peft_type", "LOHA"},
                                        {"r", 0},
                                        {"r", 1e9},
                                        {"lora_alpha", "many"},
                                        {"init_lora_weights", "pissa_niter_4"},
                                        {"layer_replication", {{0, 2}}},
                                        {"target_parameters", {"experts.gate_up_proj"}},
                                        {"alpha_pattern", {{"(", 1}}},
                                        {"rank_pattern", {{"q_proj", -1}}},
                                        {"rank_pattern", {{"q_proj", 1.5}}}}) {
    WrittenAdapter adapter;
    adapter.add("model.layers.0.self_attn.q_proj", 64, 64);
    adapter.config[key] = value;
    EXPECT_THAT(adapter.error(), HasSubstr(key)) << value;
  }
}

// As files that were put together by hand are: one of the two would be lost, or both be added.
TEST(LoraErrors, OneModuleIsAdaptedOnce) {
  const std::string module = "model.layers.0.self_attn.q_proj";
  {
    WrittenAdapter adapter;
    adapter.add(module, 64, 64);
    adapter.file.add_random(module + ".lora_A.weight", {1, 64}, 0, 1);
    EXPECT_THAT(adapter.error(), AllOf(HasSubstr("'" + module + ".lora_A.weight'"), HasSubstr("twice")));
  }
  {
    WrittenAdapter adapter;
    adapter.add(module, 64, 64);
    adapter.add("layers.0.self_attn.q_proj", 64, 64);
    EXPECT_THAT(adapter.error(), AllOf(HasSubstr("base_model.model.layers.0.self_attn.q_proj"),
                                       HasSubstr("are for one weight, " + module + ".weight")));
  }
  {
    WrittenAdapter adapter;
    adapter.add(module, 64, 64);
    adapter.file.add_random("base_model.model.model.norm.weight", {64}, 0, 1);
    adapter.file.add_random("base_model.model.norm.weight", {64}, 0, 1);
    EXPECT_THAT(adapter.error(), HasSubstr("are for one weight, model.norm.weight"));
  }
}

TEST(LoraErrors, ScalesFitFloat32) {
  WrittenAdapter adapter;
  adapter.add("model.layers.0.self_attn.q_proj", 64, 64);
  adapter.config["lora_alpha"] = 1e300;
  EXPECT_THAT(adapter.error(), AllOf(HasSubstr("q_proj"), HasSubstr("lora_alpha")));
}

TEST(LoraErrors, SayWhatAnAdapterIs) {
  const TemporaryFolder folder;
  const auto error = [&] {
    return message_of<ModelError>([&] { open_model(with_adapters({{folder.path()}})); });
  };
  EXPECT_THAT(error(), HasSubstr("an adapter is a folder with adapter_config.json"));
  write_file(folder.path() / "adapter_config.json", R"({"r": 1})");
  write_file(folder.path() / "adapter_model.bin", "x");
  EXPECT_THAT(error(), HasSubstr("safe_serialization=True"));
  EXPECT_THAT(message_of<ModelError>([] { open_model(with_adapters({{"/nowhere"}})); }),
              AllOf(HasSubstr("/nowhere"), HasSubstr("no such folder")));
}

}  // namespace
}  // namespace mmbatch
