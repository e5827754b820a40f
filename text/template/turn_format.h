#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/pattern.h"

namespace mmbatch {

enum class Role { system, user, assistant };

struct Turn {
  Role role = Role::user;
  std::string content;
};

struct RenderOptions {
  std::string image_placeholder = "<image>";  // what stands for one image in the prompt's text
  int images = 0;                             // of the first user turn; it holds all images of a prompt
  std::string eos = "</s>";                   // the text of the end of sequence, which closes an answer
};

struct FoundTurnFormat;

/// How a question, or a dialogue, is written for a model that was trained on dialogues. Formats are data:
/// patterns named by what they contain. Const and thread-safe.
class TurnFormat {
 public:
  // clang-format off
  /// The names of the built-in formats:
  ///   plain                         the text as it stands
  ///   line                          text and a newline, images right before it
  ///   user_assistant                USER: <image>\n… ASSISTANT:
  ///   user_assistant_curious_human  the same behind a system line about a curious human, or another system text
  ///   user_assistant_curious_user   the same about a curious user
  ///   inst                          [INST] <image>\n… [/INST]; a system text comes before the first question
  ///   inst_sys                      … with the system text between <<SYS>> marks inside the first turn
  ///   sys_inst                      … with those marks before the first turn
  ///   start_of_turn                 <start_of_turn>user\n…<end_of_turn>\n<start_of_turn>model\n
  ///   pipe_roles                    <|user|>\n…</s>\n<|assistant|>\n
  // clang-format on
  static std::vector<std::string> names();
  /// The same in one text, "plain, line, …".
  static std::string names_text();
  /// @throws UsageError that names the known ones.
  static TurnFormat named(std::string_view name);

  /// A manifest's `turn_format`: one user turn with {question}, and, where wanted, {image} and {system}.
  /// {image} with a newline right behind it is repeated for every image; a further turn follows after the
  /// answer and the end of sequence.
  /// @throws UsageError for another placeholder, and without {question}.
  static TurnFormat from_pattern(std::string_view pattern);

  /// The built-in format that a Jinja chat template writes, told by what the template contains; none when it
  /// is another one.
  static std::optional<TurnFormat> recognise(std::string_view chat_template);

  /// The format of a checkpoint folder, by its chat_template.jinja, chat_template.json, or `chat_template` of
  /// tokenizer_config.json (one template, or a list of named ones, of which "default" counts), in this order.
  /// @param default_name what holds where the folder has no template, and where its template is not
  /// recognised.
  /// @throws ModelError when a file is broken.
  static FoundTurnFormat find_for(const std::filesystem::path& model_dir, std::string_view default_name);

  /// The prompt: all turns, up to where the model is to answer. BOS is left to the tokenizer.
  /// Where the first user turn's content holds the image placeholder itself, none is added to it.
  /// @param turns at most one system turn, which comes first; then user and assistant in turns, ending with
  /// user.
  /// @throws ItemError invalid_item for turns in another order, invalid_value for a system text where the
  /// format has no place for one.
  std::string render(std::span<const Turn> turns, const RenderOptions& options) const;

  /// What follows an answer that the model gave to a prompt of render(): its end, and the next question up to
  /// where the model is to answer. render() of the whole dialogue is the prompt, what comes before an answer
  /// in its place (a space, if anything), the answer, and this.
  std::string render_following(const std::string& question, const RenderOptions& options) const;

  /// Of a built-in format; "custom" for one from a pattern.
  const std::string& name() const { return name_; }

 private:
  enum class Content { as_it_stands, trimmed };
  struct BuiltIn;
  struct Slots;
  static const std::vector<BuiltIn>& built_ins();

  TurnFormat() = default;
  std::string render_user(const Slots& slots) const;
  std::string cleaned(const std::string& content) const;

  std::string name_;
  std::vector<PatternPart> user_;    // {system} {image} {question} {eos}; up to where the answer begins
  std::vector<PatternPart> answer_;  // {answer} {eos}
  std::vector<PatternPart> system_;  // {system} {eos}: what {system} of the first user turn stands for
  std::string default_system_;
  Content content_ = Content::as_it_stands;
};

/// Where a checkpoint's turn format comes from.
enum class TurnFormatSource { chat_template, by_default, unrecognised };

struct FoundTurnFormat {
  TurnFormat format;
  TurnFormatSource source = TurnFormatSource::by_default;
  std::string message;  // unrecognised: names the file and asks for `turn_format`
};

}  // namespace mmbatch
