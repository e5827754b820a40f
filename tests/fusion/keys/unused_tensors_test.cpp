#include "fusion/keys/unused_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "fusion/keys/tensor_check.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelFolder;
using Json = nlohmann::json;

constexpr const char* kFile = "model.safetensors";

/// The file's header and data, changed.
void edit(const ModelFolder& folder, const std::function<void(Json& header, std::string& data)>& change) {
  const std::string bytes = testing::read_file(folder.path() / kFile);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  Json header = Json::parse(bytes.substr(8, length));
  std::string data = bytes.substr(8 + length);
  change(header, data);
  std::filesystem::remove(folder.path() / kFile);
  testing::write_file(folder.path() / kFile, testing::safetensors_bytes(header.dump(), data));
}

void add(const ModelFolder& folder, const std::string& name) {
  edit(folder, [&](Json& header, std::string& data) {
    header[name] = {{"dtype", "F32"}, {"shape", {2}}, {"data_offsets", {data.size(), data.size() + 8}}};
    data.append(8, '\0');
  });
}

std::vector<std::string> unused_after(const std::string& added) {
  const ModelFolder folder("mistral-window");
  add(folder, added);
  return unused_tensors(*Model::load(folder.path())->files().weights);
}

TEST(UnusedTensors, AreNoneOfReferenceFolders) {
  for (const auto& entry : std::filesystem::directory_iterator(testing::kReference)) {
    for (const char* place : {"model", "model.gguf"}) {
      if (!std::filesystem::exists(entry.path() / place) || entry.path().filename() == "gguf-types") continue;
      const auto model = Model::load(entry.path() / place);
      EXPECT_THAT(unused_tensors(*model->files().weights), IsEmpty()) << entry.path();
      // Without their values, too, of which none is looked at.
      EXPECT_NO_THROW(check_tensors(ModelFiles(entry.path() / place))) << entry.path();
    }
  }
}

TEST(UnusedTensors, AreNamed) {
  for (const std::string name :
       {"model.layers.0.self_attn.q_norm.weight", "lm_head.bias", "model.layers.1.mlp.gate_proj.bias"})
    EXPECT_THAT(unused_after(name), ElementsAre(name));
  const ModelFolder folder("mistral-window");
  add(folder, "lm_head.bias");
  const auto model = Model::load(folder.path());
  EXPECT_THAT(unused_tensors_note(*model->files().weights),
              HasSubstr("1 tensor of the checkpoint is not used: lm_head.bias; "));
}

TEST(TensorCheck, SaysWhatLoadingSays) {
  const auto said = [](const std::function<void(Json & header, std::string & data)>& change) {
    const ModelFolder folder("mistral-window");
    edit(folder, change);
    ::testing::internal::CaptureStdout();  // where the log goes, unless a program says otherwise
    std::string error;
    try {
      check_tensors(ModelFiles(folder.path()));
    } catch (const ModelError& e) {
      error = e.what();
    }
    return error + ::testing::internal::GetCapturedStdout();
  };
  EXPECT_EQ(said([](Json&, std::string&) {}), "");
  EXPECT_THAT(said([](Json& header, std::string& data) {
                header["lm_head.bias"] = {
                    {"dtype", "F32"}, {"shape", {2}}, {"data_offsets", {data.size(), data.size() + 8}}};
                data.append(8, '\0');
              }),
              HasSubstr("not used: lm_head.bias"));
  EXPECT_THAT(said([](Json& header, std::string&) {
                header["model.layers.1.mlp.other.weight"] = header["model.layers.1.mlp.down_proj.weight"];
                header.erase("model.layers.1.mlp.down_proj.weight");
              }),
              HasSubstr("model.layers.1.mlp.down_proj.weight' is missing"));
  EXPECT_THAT(said([](Json& header, std::string&) {
                Json& shape = header["model.layers.0.self_attn.o_proj.weight"]["shape"];
                shape = Json::array({shape[1], shape[0]});
              }),
              HasSubstr("model.layers.0.self_attn.o_proj.weight"));
}

TEST(UnusedTensors, WhatChangesNothingIsNot) {
  for (const std::string name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "mtp.norm.weight"})
    EXPECT_THAT(unused_after(name), IsEmpty()) << name;
}

/// As transformers 5: what is stored twice with other numbers is not tied, whatever config.json says.
TEST(TiedHead, AnotherOneThatIsStoredIsUsed) {
  const ModelFolder folder("mistral-window");
  folder.edit_config([](Json& config) { config["tie_word_embeddings"] = true; });
  EXPECT_EQ(ModelFiles(folder.path()).spec.decoder_names.head, "lm_head");
  edit(folder, [](Json& header, std::string& data) {
    const auto offset = [&](const char* name) { return header[name]["data_offsets"][0].get<std::size_t>(); };
    const auto end = header["lm_head.weight"]["data_offsets"][1].get<std::size_t>();
    const std::size_t head = offset("lm_head.weight"), embedding = offset("model.embed_tokens.weight");
    data.replace(head, end - head, data.substr(embedding, end - head));
  });
  const auto model = Model::load(folder.path());
  EXPECT_EQ(model->spec().decoder_names.head, "");
  EXPECT_THAT(unused_tensors(*model->files().weights), IsEmpty());
}

}  // namespace
}  // namespace mmbatch
