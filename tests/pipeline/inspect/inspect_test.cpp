// What the program says of checkpoint folders, good and nearly good ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string reference(const std::string& name) {
  return reference_folder(name) + "/model";
}

json inspected(const std::string& folder) {
  const ProgramEnd outcome = program("inspect --json " + folder);
  return json::parse(outcome.text);
}

/// A copy of a reference folder that a test may change.
std::string copy_of(const Workplace& place, const std::string& name) {
  const std::string folder = place.path(name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(reference(name))) {
    fs::copy_file(entry.path(), fs::path(folder) / entry.path().filename());
    fs::permissions(fs::path(folder) / entry.path().filename(), fs::perms::owner_write,
                    fs::perm_options::add);
  }
  return folder;
}

void edit(const std::string& file, const std::function<void(json&)>& change) {
  std::ifstream in(file);
  json content = json::parse(in);
  change(content);
  std::ofstream(file) << content.dump();
}

TEST(Inspect, KnowsWidthsFilesAndMemory) {
  const json found = inspected(reference("llava-gqa"));
  EXPECT_EQ(found["family"], "llava");
  EXPECT_EQ(found["supported"], true);
  EXPECT_EQ(found["tasks"], (json{"vqa", "generate"}));
  EXPECT_EQ(found["dtypes"], (json{"f16"}));
  EXPECT_EQ(found["stored_bytes"].get<std::size_t>(), 2 * found["parameters"].get<std::size_t>());
  const json& decoder = found["decoder"];
  EXPECT_LT(decoder["kv_heads"], decoder["heads"]);
  const std::size_t row = decoder["head_dim"].get<std::size_t>() * 2 * decoder["layers"].get<std::size_t>() *
                          decoder["kv_heads"].get<std::size_t>();
  EXPECT_EQ(found["cache_bytes_per_token"]["f32"], row * 4);
  EXPECT_EQ(found["cache_bytes_per_token"]["bf16"], row * 2);
  const json& weights = found["weight_bytes"];
  const char* const order[] = {"f32", "bf16", "int8", "int4"};
  for (int i = 1; i < 4; ++i) EXPECT_LT(weights[order[i]], weights[order[i - 1]]);
  std::set<std::string> files;
  for (const json& file : found["files"]) files.insert(file["name"]);
  EXPECT_TRUE(files.count("config.json") && files.count("tokenizer.model") &&
              files.count("model-00002-of-00002.safetensors"));
  const ProgramEnd text = program("inspect " + reference("mistral-window"));
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.text, AllOf(HasSubstr("family        mistral\n"), HasSubstr("a window of 12 in"),
                               HasSubstr("cache per token: f32"), HasSubstr("beyond the windows: f32 0 B")));
}

TEST(Inspect, AQuantizedFileIsComputedWithAsItIsStored) {
  const json found = inspected(reference_folder("gguf-llama-q4_0") + "/model.gguf"),
             memory = found["weight_bytes"];
  EXPECT_THAT(found["computed_in"].get<std::string>(), ::testing::StartsWith("stored: "));
  EXPECT_THAT(found["computed_in"].get<std::string>(), HasSubstr("Q4_0"));
  EXPECT_LT(memory["stored"].get<double>(), 0.5 * memory["bf16"].get<double>());
  EXPECT_FALSE(inspected(reference("llava-gqa"))["weight_bytes"].contains("stored"));
}

TEST(Inspect, LayersWithAWindowTakeNoMoreBeyondIt) {
  EXPECT_FALSE(inspected(reference("llama")).contains("cache_bytes_per_token_beyond_windows"));
  const json all = inspected(reference("mistral-window"));
  EXPECT_EQ(all["cache_bytes_per_token_beyond_windows"]["f32"], 0) << "every layer has one";
  const json some = inspected(reference("gemma2"));
  const auto of_all_layers = some["cache_bytes_per_token"]["f32"].get<std::size_t>();
  EXPECT_EQ(some["cache_bytes_per_token_beyond_windows"]["f32"].get<std::size_t>(), of_all_layers / 3)
      << "one of three layers sees everything";
}

TEST(Inspect, SaysWhatProcessesHoldThatDivideAModel) {
  const json found = inspected(reference("llava-gqa") + " --tensor-parallel 2");
  const json& divided = found["divided"];
  EXPECT_EQ(divided["slices"], 2);
  ASSERT_EQ(divided["processes"].size(), 2u);
  const auto of = [&](std::size_t i, const char* what, const char* precision) {
    return divided["processes"][i][what][precision].get<double>();
  };
  const double whole = found["weight_bytes"]["f32"].get<double>();
  EXPECT_GE(of(0, "rank_0_weight_bytes", "f32"), whole);  // each slice has biases of its own
  EXPECT_LT(of(0, "rank_0_weight_bytes", "f32"), 1.001 * whole);
  const double leading = of(1, "rank_0_weight_bytes", "f32"), other = of(1, "other_weight_bytes", "f32");
  EXPECT_LT(other, leading);  // which has the patches and the projector besides
  EXPECT_LT(leading, 0.75 * whole);
  EXPECT_GT(leading + other, whole);  // embedding and norms are everywhere
  EXPECT_EQ(of(1, "cache_bytes_per_token", "f32") * 2, found["cache_bytes_per_token"]["f32"].get<double>());
  EXPECT_EQ(program("inspect " + reference("llava-gqa") + " --tensor-parallel 3").code, 2);
}

TEST(Inspect, ADualEncoderHasNoDecoder) {
  const json found = inspected(reference("siglip"));
  EXPECT_EQ(found["tasks"], (json{"classify", "embed"}));
  EXPECT_FALSE(found.contains("decoder"));
  EXPECT_EQ(found["text_encoder"]["hidden"], 48);
  EXPECT_EQ(found["embedding_width"], 48);
  EXPECT_EQ(found["cache_bytes_per_token"], json::object());
}

TEST(Inspect, SaysAllThatIsMissing) {
  const Workplace place;
  const std::string folder = copy_of(place, "llava-gqa");
  edit(folder + "/config.json", [](json& c) { c["architectures"] = {"MllamaForConditionalGeneration"}; });
  fs::remove(folder + "/tokenizer.model");
  std::ofstream(folder + "/tokenizer.json") << R"({"model": {"type": "Neural", "vocab": {}}})";
  const ProgramEnd outcome = program("inspect " + folder);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.text,
              AllOf(HasSubstr("architecture  MllamaForConditionalGeneration"), HasSubstr("parameters in f16"),
                    HasSubstr("architecture not supported"), HasSubstr("a model 'Neural' is not supported")));
  const json found = inspected(folder);
  EXPECT_EQ(found["supported"], false);
  EXPECT_EQ(found["unsupported"].size(), 2u);
}

// What people give by mistake: each is refused before weights are packed, with the way out.
TEST(FootGuns, FilesThatAreMissingOrDoNotBelong) {
  const Workplace place;
  const auto after = [&](const std::string& name, const std::function<void(const std::string&)>& change) {
    const std::string folder = copy_of(place, name);
    change(folder);
    const ProgramEnd run = program("generate --model " + folder + " hello");
    const ProgramEnd inspect = program("inspect " + folder);
    EXPECT_EQ(run.code, 3) << run.text;
    EXPECT_EQ(inspect.code, 3) << inspect.text;
    const std::string why = run.text.substr(run.text.find(folder));
    EXPECT_THAT(inspect.text, HasSubstr(why.substr(0, why.find('\n'))));
    return run.text;
  };
  EXPECT_THAT(after("llava-gqa", [](const auto& f) { fs::remove(f + "/preprocessor_config.json"); }),
              AllOf(HasSubstr("preprocessor_config.json: missing"), HasSubstr("Copy it")));
  EXPECT_THAT(after("llama",
                    [](const auto& f) {
                      edit(f + "/config.json", [](json& c) {
                        c["quantization_config"] = {{"quant_method", "eetq"}};
                      });
                    }),
              AllOf(HasSubstr("quantized by 'eetq'"), HasSubstr("the checkpoint that it was made from")));
  EXPECT_THAT(after("llama",
                    [](const auto& f) {
                      edit(f + "/generation_config.json", [](json& c) { c["eos_token_id"] = 479; });
                      fs::copy_file(reference("siglip") + "/spiece.model", f + "/tokenizer.model",
                                    fs::copy_options::overwrite_existing);
                      for (const char* name : {"/tokenizer_config.json", "/special_tokens_map.json"})
                        fs::remove(f + name);
                    }),
              AllOf(HasSubstr("do not belong together"), HasSubstr("tokenizer.json or tokenizer.model")));
}

TEST(FootGuns, ATemplateThatCannotBeReadAsksForATurnFormat) {
  const Workplace place;
  const std::string folder = copy_of(place, "llava-gqa");
  edit(folder + "/tokenizer_config.json",
       [](json& c) { c["chat_template"] = "{% for m in messages %}?{% endfur %}"; });
  const std::string job = "  - {name: q, task: vqa, ";
  const std::string items = "items: [{image: " + Workplace::images().front() + ", question: hi}]}\n";
  const auto run = [&](const std::string& more) {
    return program(
        "run -q " +
        place.write("m.yaml", "model: " + folder + "\ndatabase: r.db\njobs:\n" + job + more + items) +
        " --max-new-tokens 2");
  };
  const ProgramEnd unknown = run("");
  EXPECT_EQ(unknown.code, 2) << unknown.text;
  EXPECT_THAT(unknown.text, AllOf(HasSubstr("job 'q'"), HasSubstr("turn_format")));
  EXPECT_EQ(run("turn_format: \"{image} {question}\", ").code, 0);
}

}  // namespace
}  // namespace mmbatch
