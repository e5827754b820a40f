#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/decoder/decoder.h"
#include "fusion/compose.h"
#include "fusion/encoder/prompt_encoder.h"
#include "fusion/image_stage.h"
#include "fusion/similarity.h"
#include "fusion/source/open_model.h"
#include "fusion/text_stage.h"
#include "fusion/video/video_preparation.h"
#include "text/template/turn_format.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// The settings of a checkpoint's generation_config.json; none when there is no such file.  @throws
/// ModelError
GenerationOverrides read_generation_config(const CheckpointFiles& files);

/// A checkpoint folder, loaded: all that is const and shared. Cheap parts (spec, tokenizer) can be had alone.
struct ModelFiles {
  /// Reads config.json, the tokenizer and the settings; maps the weights without packing them.  @throws
  /// ModelError
  explicit ModelFiles(const ModelPlace& place);

  std::filesystem::path folder;
  ModelParts parts;
  std::shared_ptr<const WeightSource> weights;
  ModelSpec spec;
  std::optional<ImagePreparation> images;  // none: text only
  std::optional<VideoPreparation> video;   // none: spec.video is not there, or video_fault
  std::string video_fault;                 // why videos cannot be prepared, where the model takes some
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<CheckpointTemplate> templates;
  std::string template_tokens;            // read_template_tokens()
  TurnFormat turn_format;                 // the checkpoint's own, else its family's
  std::string turn_format_warning;        // not empty: the checkpoint's template cannot be used
  GenerationOverrides generation;         // of generation_config.json
  std::vector<std::string> unknown_keys;  // messages about keys of the folder's files, for people

  /// Of a model that takes videos.  @throws ItemError invalid_value with video_fault
  const VideoPreparation& videos() const;
};

/// The turn format that a manifest names: a built-in one, a template of the checkpoint, a file (whose name
/// ends in .jinja, or has a '/'), or a pattern with {question}; the model's own when `name` is empty.
/// @param folder where relative files are looked for  @param owner what errors name, such as "job 'a'"
/// @throws UsageError when it is none of them, or a file is broken
TurnFormat find_turn_format(const ModelFiles& files, const std::string& name,
                            const std::filesystem::path& folder, const std::string& owner);

/// @throws UsageError that says why a model cannot be cut into so many slices
void check_sliced(const ModelFiles& files, std::size_t slices);

class Model {
 public:
  /// Packs the weights for this machine, or takes them as a packed folder holds them.
  /// @throws ModelError
  explicit Model(std::shared_ptr<const ModelFiles> files, Precision precision = Precision::f32,
                 WeightHooks hooks = {});
  /// The same with layers that are cut into slices, of which this process has its own. What encoders have
  /// beside their layers is rank 0's: in other processes there are no images(), texts() or encoder().
  /// @throws UsageError, as check_sliced()
  Model(std::shared_ptr<const ModelFiles> files, Precision precision, std::shared_ptr<const Slices> slices);
  static std::shared_ptr<const Model> load(const ModelPlace& folder, Precision precision = Precision::f32) {
    return std::make_shared<const Model>(std::make_shared<const ModelFiles>(folder), precision);
  }

  const ModelFiles& files() const { return *files_; }
  Precision precision() const { return precision_; }
  const ModelSpec& spec() const { return files_->spec; }
  const Tokenizer& tokenizer() const { return *files_->tokenizer; }
  /// Null for a text-only model, and in a process that does not lead.
  const ImageStage* images() const { return images_ ? &*images_ : nullptr; }
  /// Null for a dual encoder, which has texts() and similarity() instead.
  std::shared_ptr<const Decoder> decoder() const { return decoder_; }
  /// Null for a model with a decoder, as is similarity().
  const TextStage* texts() const { return texts_ ? &*texts_ : nullptr; }
  const Similarity* similarity() const { return similarity_ ? &*similarity_ : nullptr; }
  /// Null but for a model whose decoder attends to what an encoder makes of a prompt.
  const PromptEncoder* encoder() const { return encoder_ ? &*encoder_ : nullptr; }
  /// What the engine gets for text and images: each placeholder becomes the tokens of its image, and an
  /// encoder reads them, if there is one.  @throws ItemError
  std::shared_ptr<const Prompt> compose(std::span<const std::int32_t> ids,
                                        std::span<const EncodedImage> images) const;
  /// Rows of the vocabulary from this one on are never generated.
  std::size_t writable_rows() const;
  std::size_t bytes() const;

 private:
  Model(std::shared_ptr<const ModelFiles> files, Precision precision, WeightHooks hooks,
        std::shared_ptr<const Slices> slices);
  void load_encoders(const Weights& weights);

  std::shared_ptr<const ModelFiles> files_;
  Precision precision_;
  std::vector<std::shared_ptr<const SharedWork>> parts_;  // of encoders, in a process that does not lead
  std::optional<ImageStage> images_;
  std::optional<PromptEncoder> encoder_;
  std::shared_ptr<const Decoder> decoder_;
  std::optional<TextStage> texts_;
  std::optional<Similarity> similarity_;
};

}  // namespace mmbatch
