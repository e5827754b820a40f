#include "text/template/turn_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {

struct TurnFormat::BuiltIn {
  std::string_view name;
  std::string_view user;
  std::string_view answer;
  std::string_view system = "";
  std::string_view default_system = "";
  Content content = Content::as_it_stands;  // trimmed where the published templates trim
};

/// What the placeholders of a user turn stand for.
struct TurnFormat::Slots {
  std::string system;
  std::string question;
  const RenderOptions* options = nullptr;
  int images = 0;  // placeholders to write
};

const std::vector<TurnFormat::BuiltIn>& TurnFormat::built_ins() {
  static const std::vector<BuiltIn> formats = {
      {.name = "plain",
       .user = "{system}{image}\n{question}",
       .answer = "\n{answer}\n",
       .system = "{system}\n"},
      {.name = "line", .user = "{system}{image}{question}\n", .answer = "{answer}\n", .system = "{system}\n"},
      {.name = "user_assistant",
       .user = "{system}USER: {image}\n{question} ASSISTANT:",
       .answer = " {answer}{eos}",
       .system = "{system} "},
      {.name = "user_assistant_curious_human",
       .user = "{system}USER: {image}\n{question} ASSISTANT:",
       .answer = " {answer}{eos}",
       .system = "{system} ",
       .default_system =
           "A chat between a curious human and an artificial intelligence assistant. The assistant "
           "gives helpful, detailed, and polite answers to the human's questions."},
      {.name = "user_assistant_curious_user",
       .user = "{system}USER: {image}\n{question} ASSISTANT:",
       .answer = " {answer}{eos}",
       .system = "{system} ",
       .default_system =
           "A chat between a curious user and an artificial intelligence assistant. The assistant "
           "gives helpful, detailed, and polite answers to the user's questions."},
      {.name = "inst",
       .user = "[INST] {system}{image}\n{question} [/INST]",
       .answer = " {answer}{eos}",
       .system = "{system}\n\n"},
      {.name = "inst_sys",
       .user = "[INST] {system}{image}\n{question} [/INST]",
       .answer = " {answer}{eos}",
       .system = "<<SYS>>\n{system}\n<</SYS>>\n\n",
       .content = Content::trimmed},
      {.name = "sys_inst",
       .user = "{system}[INST] {image}\n{question} [/INST]",
       .answer = " {answer}{eos}",
       .system = "<<SYS>>\n{system}\n<</SYS>>\n\n"},
      {.name = "start_of_turn",
       .user = "<start_of_turn>user\n{system}{image}\n{question}<end_of_turn>\n<start_of_turn>model\n",
       .answer = "{answer}<end_of_turn>\n",
       .system = "{system}\n\n",
       .content = Content::trimmed},
      {.name = "pipe_roles",
       .user = "{system}<|user|>\n{image}\n{question}{eos}\n<|assistant|>\n",
       .answer = "{answer}{eos}\n",
       .system = "<|system|>\n{system}{eos}\n"},
  };
  return formats;
}

std::vector<std::string> TurnFormat::names() {
  std::vector<std::string> names;
  for (const BuiltIn& format : built_ins()) names.emplace_back(format.name);
  return names;
}

std::string TurnFormat::names_text() {
  std::string text;
  for (const BuiltIn& format : built_ins()) {
    if (!text.empty()) text += ", ";
    text += format.name;
  }
  return text;
}

TurnFormat TurnFormat::named(std::string_view name) {
  const auto& formats = built_ins();
  const auto found =
      std::find_if(formats.begin(), formats.end(), [&](const auto& f) { return f.name == name; });
  if (found == formats.end()) {
    throw UsageError(fmt::format("no turn format '{}'; known: {}", name, names_text()));
  }
  TurnFormat format;
  format.name_ = name;
  format.user_ = parse_pattern(found->user, name, {"system", "image", "question", "eos"});
  format.answer_ = parse_pattern(found->answer, name, {"answer", "eos"});
  format.system_ = parse_pattern(found->system, name, {"system", "eos"});
  format.default_system_ = found->default_system;
  format.content_ = found->content;
  return format;
}

TurnFormat TurnFormat::from_pattern(std::string_view pattern) {
  TurnFormat format;
  format.name_ = "custom";
  format.user_ = parse_pattern(pattern, "turn_format", {"question", "image", "system"});
  const auto asks = [](const PatternPart& part) { return part.placeholder && part.text == "question"; };
  if (std::none_of(format.user_.begin(), format.user_.end(), asks)) {
    throw UsageError("turn_format: {question} is missing; allowed: {question}, {image}, {system}");
  }
  const bool spaced = !pattern.empty() && (pattern.back() == ' ' || pattern.back() == '\n');
  format.answer_ =
      parse_pattern(spaced ? "{answer}{eos}" : " {answer}{eos}", "turn_format", {"answer", "eos"});
  format.system_ = parse_pattern("{system}", "turn_format", {"system"});
  return format;
}

namespace {

std::string fill(const std::vector<PatternPart>& parts, std::string_view content, std::string_view eos) {
  std::string out;
  for (const PatternPart& part : parts) {
    out += !part.placeholder ? std::string_view(part.text) : part.text == "eos" ? eos : content;
  }
  return out;
}

bool has_slot(const std::vector<PatternPart>& parts, std::string_view name) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const PatternPart& part) { return part.placeholder && part.text == name; });
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

void check_order(std::span<const Turn> turns) {
  Role expected = Role::user;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (i == 0 && turns[i].role == Role::system) continue;
    if (turns[i].role != expected) {
      throw ItemError(
          ErrorCode::invalid_item,
          fmt::format("message {}: expected one of the {}; roles go user, assistant, user, … after at "
                      "most one system message",
                      i + 1, expected == Role::user ? "user" : "assistant"));
    }
    expected = expected == Role::user ? Role::assistant : Role::user;
  }
  if (turns.empty() || turns.back().role != Role::user) {
    throw ItemError(ErrorCode::invalid_item, "the last message must be the user's");
  }
}

}  // namespace

std::string TurnFormat::render_user(const Slots& slots) const {
  const std::string& placeholder = slots.options->image_placeholder;
  std::string out;
  bool images_placed = has_slot(user_, "image");
  for (std::size_t i = 0; i < user_.size(); ++i) {
    const PatternPart& part = user_[i];
    if (!part.placeholder) {
      out += part.text;
    } else if (part.text == "system") {
      out += slots.system;
    } else if (part.text == "eos") {
      out += slots.options->eos;
    } else if (part.text == "image") {
      const bool line =
          i + 1 < user_.size() && !user_[i + 1].placeholder && user_[i + 1].text.starts_with('\n');
      out += repeat(line ? placeholder + "\n" : placeholder, slots.images);
      if (line) out += std::string_view(user_[++i].text).substr(1);
    } else {
      if (!images_placed) out += repeat(placeholder + "\n", slots.images);
      images_placed = true;
      out += slots.question;
    }
  }
  return out;
}

std::string TurnFormat::cleaned(const std::string& content) const {
  if (content_ == Content::as_it_stands) return content;
  const std::string clean = replace_invalid_utf8(content);
  return std::string(strip_left(strip_right(clean)));
}

std::string TurnFormat::render_following(const std::string& question, const RenderOptions& options) const {
  const auto answer = std::find_if(answer_.begin(), answer_.end(), [](const PatternPart& part) {
    return part.placeholder && part.text == "answer";
  });
  const std::vector<PatternPart> end(answer + 1, answer_.end());
  const Slots slots{.system = "", .question = cleaned(question), .options = &options};
  return fill(end, "", options.eos) + render_user(slots);
}

std::string TurnFormat::render(std::span<const Turn> turns, const RenderOptions& options) const {
  check_order(turns);
  std::string system = default_system_;
  if (turns.front().role == Role::system) {
    system = turns.front().content;
    turns = turns.subspan(1);
  }
  if (!system.empty() && !has_slot(user_, "system")) {
    throw ItemError(ErrorCode::invalid_value,
                    "this turn format has no place for a system text: put {system} into turn_format");
  }
  std::string out;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role == Role::assistant) {
      out += fill(answer_, cleaned(turns[i].content), options.eos);
      continue;
    }
    Slots slots{.system = "", .question = cleaned(turns[i].content), .options = &options};
    if (i == 0) {
      if (!system.empty()) slots.system = fill(system_, system, options.eos);
      const bool own = !options.image_placeholder.empty() &&
                       slots.question.find(options.image_placeholder) != std::string::npos;
      slots.images = own ? 0 : options.images;
    }
    out += render_user(slots);
  }
  return out;
}

}  // namespace mmbatch
