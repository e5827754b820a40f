// GGUF models and vision parts whose bytes were changed: a message, or a model; never anything else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <sstream>

#include "engine/base/error.h"
#include "fusion/model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/mutants.h"
#include "tests/engine/stored_tensors.h"
#include "tests/engine/temporary_folder.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch {
namespace {

using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TemporaryFolder;
using testing::write_file;

const std::filesystem::path kReference = std::filesystem::path(MMBATCH_TEST_DATA) / "reference";

/// Where values of keys and descriptions of tensors begin: vocabularies are most of a header.
std::vector<std::size_t> values_of(const std::string& bytes) {
  std::vector<std::size_t> places;
  for (const char* end :
       {"_count",  "_length",  "_token_id", "_size",   "_layers", "_pattern", "_base", "_epsilon",
        "_scale",  "_indexes", "_sections", "type",    ".factor", "_heads",   "_rank", "_kernel",
        ".weight", ".bias",    "_scores",   ".tokens", ".merges", "_window",  "_sinks"}) {
    const std::string text = end;
    for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1))
      places.push_back(at + text.size());
  }
  return places;
}

/// Small changes where the file says what is in it, seldom in what is in it.
std::string changed(std::string bytes, std::mt19937& random) {
  const std::size_t header = std::min<std::size_t>(bytes.size(), 20000);
  const std::vector<std::size_t> places = values_of(bytes);
  for (std::size_t edits = 1 + random() % 3; edits > 0; --edits) {
    std::size_t at = random() % (random() % 8 == 0 ? bytes.size() : header);
    if (!places.empty() && random() % 2 == 0)
      at = std::min(places[random() % places.size()] + random() % 24, bytes.size() - 1);
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes[at] = static_cast<char>(bytes[at] + (random() % 2 == 0 ? 1 : -1));
        break;
      case 3:
        bytes[at] = random() % 2 == 0 ? '\0' : '\xff';
        break;
      default:
        if (random() % 20 == 0) bytes.resize(at + 1);
    }
    if (bytes.empty()) break;
  }
  return bytes;
}

/// With more of them, by hand: MMBATCH_MUTANT_MODELS=FOLDER:FOLDER, of model.gguf and mmproj.gguf
std::vector<std::filesystem::path> folders() {
  std::vector<std::filesystem::path> all;
  for (const char* name : {"gguf-llava15", "gguf-llama-q4_0", "gguf-llama3-fallback"})
    all.push_back(kReference / name);
  const char* set = std::getenv("MMBATCH_MUTANT_MODELS");
  std::istringstream more(set != nullptr ? set : "");
  for (std::string folder; std::getline(more, folder, ':');) all.emplace_back(folder);
  return all;
}

/// What was loaded answers, whatever it says.
void compute_with(const Model& model) {
  model.tokenizer().encode("Hello 1\n<s> wörld");
  Prompt prompt;
  prompt.ids = {0, static_cast<std::int32_t>(model.spec().decoder.vocab) - 1, 1};
  testing::logits_in_one_piece(*model.decoder(), prompt);
}

TEST(HostileGguf, ChangedModelsLoadOrAreRefused) {
  struct Pair {
    std::string model, projector;
  };
  std::vector<Pair> sound;
  for (const std::filesystem::path& folder : folders()) {
    const std::filesystem::path projector = folder / "mmproj.gguf";
    sound.push_back({read_file(folder / "model.gguf"),
                     std::filesystem::exists(projector) ? read_file(projector) : std::string()});
  }
  std::mt19937 random(5);
  const TemporaryFolder folder;
  std::size_t loaded = 0, refused = 0;
  for (std::size_t i = 0; i < testing::mutants(60); ++i) {
    Pair pair = sound[i % sound.size()];
    std::string& part = !pair.projector.empty() && random() % 2 == 0 ? pair.projector : pair.model;
    part = changed(part, random);
    write_file(folder.path() / "model.gguf", pair.model);
    std::filesystem::remove(folder.path() / "mmproj.gguf");
    if (!pair.projector.empty()) write_file(folder.path() / "mmproj.gguf", pair.projector);
    try {
      compute_with(*Model::load(folder.path() / "model.gguf"));
      ++loaded;
    } catch (const ModelError& e) {
      EXPECT_STRNE(e.what(), "");
      ++refused;
    }
  }
  EXPECT_GT(loaded, 0u);
  EXPECT_GT(refused, 0u);
}

/// A small file that says what it likes about its vocabulary and heads.
struct Said {
  GgufBytes file;

  Said() {
    file.key("general.architecture", "llama").key("tokenizer.ggml.model", "gpt2");
    for (const char* key : {"block_count", "context_length"}) file.key(std::string("llama.") + key, 2u);
    file.texts("tokenizer.ggml.tokens", {"a", "b", "c"});
  }
  Said& heads(std::uint32_t count) {
    file.key("llama.attention.head_count", count).key("llama.embedding_length", 8u);
    return *this;
  }
  std::string error() const {
    const TemporaryFolder folder;
    write_file(folder.path() / "m.gguf", file.bytes());
    return testing::message_of<ModelError>([&] { open_model(folder.path() / "m.gguf"); });
  }
};

TEST(HostileGguf, TemplatesAreNamedOnce) {
  Said said;
  said.heads(2).file.texts("tokenizer.chat_templates", {"tool", "rag", "tool"});
  said.file.key("tokenizer.chat_template.tool", "{{ messages[0].content }}");
  EXPECT_THAT(said.error(), HasSubstr("m.gguf: key 'tokenizer.chat_templates': names 'tool' twice"));
}

TEST(HostileGguf, IdsOfTokensAreNoLists) {
  const std::string list = GgufBytes::number(std::uint32_t{4}) + GgufBytes::number(std::uint64_t{2}) +
                           GgufBytes::number(std::uint32_t{1}) + GgufBytes::number(std::uint32_t{2});
  Said said;
  said.heads(2).file.key("tokenizer.ggml.eos_token_id", 9, list);
  EXPECT_THAT(said.error(), HasSubstr("m.gguf: key 'tokenizer.ggml.eos_token_id': is a list"));
}

TEST(HostileGguf, HeadsThatDoNotDivideAreToldWithFileAndKey) {
  Said said;
  said.heads(3).file.put("blk.0.attn_q.weight", {8, 8}, std::vector<float>(64, 1.0f));
  EXPECT_THAT(said.error(), HasSubstr("m.gguf: key 'llama.attention.head_count': 3 does not divide "
                                      "embedding_length 8"));
}

}  // namespace
}  // namespace mmbatch
