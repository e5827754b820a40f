#include "jobs/item/dialogue/message_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <stdexcept>

#include "engine/base/text/counted.h"
#include "jobs/text/json_node.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

class MessageReader {
 public:
  MessageReader(const MessageSource& source, ItemSize& size, Item& item)
      : source_(source), size_(size), item_(item) {}

  void read() {
    const std::size_t listed = item_.images.size();
    const char* const expected = "a list of {role, content}";
    const auto& list = list_of(source_.messages, expected);
    if (list.empty()) ill_typed(source_.messages, expected);
    for (const NodePointer& element : list) read_message(*element);
    if (item_.messages.empty() ||
        (item_.messages.back().role != "user" && item_.messages.back().role != "tool"))
      fail("the last of 'messages' must have the role user or tool");
    place_listed(listed);
    item_.form = PromptForm::turns;
    item_.prompt = text_for_people();
  }

 private:
  /// The item's own images stand where parts say so, else before the first question.
  void place_listed(std::size_t listed) {
    place_ = {};
    if (item_.images.size() > listed && (listed > 0 || bare_images_ > 0))
      fail("images are given both in and beside 'messages'");
    if (bare_images_ > 0 && bare_images_ != listed)
      fail(fmt::format("{} without an image's name, for {}", counted(bare_images_, "image part"),
                       counted(listed, "image")));
    if (bare_images_ > 0) return;
    const auto is_user = [](const Item::Message& message) { return message.role == "user"; };
    const auto first = std::find_if(item_.messages.begin(), item_.messages.end(), is_user);
    if (first != item_.messages.end()) first->images += listed;
  }

  bool is_request() const { return source_.forms == MessageForms::request; }

  [[noreturn]] void fail(const std::string& problem, ErrorCode code = ErrorCode::invalid_item) const {
    throw PlacedError(code, place_.line > 0 ? place_ : source_.messages.place, problem);
  }

  static bool is_nothing(const Node& value) {
    const bool holds = value.kind == Node::Kind::list || value.kind == Node::Kind::map;
    return value.kind == Node::Kind::null || (holds && value.list.empty() && value.map.empty());
  }

  /// What else requests may hold, as long as it says nothing.
  void check_message_keys(const Node& message) const {
    static const std::vector<std::string> known = {"role",       "content",      "name",
                                                   "tool_calls", "tool_call_id", "reasoning_content"};
    if (!is_request()) return check_keys(message, known, "a message");
    check_unique(message);
    for (const Node::Entry& entry : message.map) {
      if (entry.key == "reasoning" || is_nothing(*entry.value)) continue;
      for (const char* other : {"function_call", "refusal", "audio", "annotations"}) {
        if (entry.key == other)
          throw PlacedError(ErrorCode::unsupported, entry.place,
                            fmt::format("'{}' in a message is not supported", entry.key));
      }
      Node alone;
      alone.kind = Node::Kind::map;
      alone.map = {entry};
      check_keys(alone, known, "a message");
    }
  }

  std::string role_of(const Node::Entry& entry) const {
    std::string role = text_of(entry, *entry.value);
    if (is_request() && role == "developer") role = "system";
    for (const char* known : {"user", "assistant", "system", "developer", "tool"}) {
      if (role == known) return role;
    }
    if (is_request() && role == "function")
      fail("the role function is not supported", ErrorCode::unsupported);
    fail(fmt::format("role '{}' is not one of user, assistant, system, developer, tool", shortened(role, 80)),
         ErrorCode::invalid_value);
  }

  void read_message(const Node& element) {
    place_ = element.place;
    if (element.kind != Node::Kind::map) ill_typed(source_.messages, "a list of {role, content}");
    check_message_keys(element);
    const Node::Entry* const role = element.get("role");
    const Node::Entry* const content = element.get("content");
    if (role == nullptr) fail("a message needs 'role' and 'content'");
    Item::Message message;
    message.role = role_of(*role);
    const bool calls = read_other(element, message) == Calls::some;
    if (content == nullptr && !calls && !(is_request() && message.role == "system"))
      fail("a message needs 'role' and 'content'");
    if (content != nullptr) read_content(*content, message);
    const bool is_empty = stripped(message.content).empty() && message.images == 0;
    if (is_empty && is_request() && message.role == "system") return;
    if (is_empty && !calls && message.role != "tool")
      fail(fmt::format("a {} message is empty", message.role), ErrorCode::prompt_empty);
    if (message.role == "system" && !item_.messages.empty()) return add_system(message);
    item_.messages.push_back(std::move(message));
  }

  enum class Calls { none, some };

  /// Further keys that templates read.
  Calls read_other(const Node& element, Item::Message& message) {
    const auto find = [&](const char* key) -> const Node::Entry* {
      const Node::Entry* const entry = element.get(key);
      return entry == nullptr || (is_request() && is_nothing(*entry->value)) ? nullptr : entry;
    };
    for (const char* key : {"reasoning_content", "reasoning", "tool_calls"}) {
      const Node::Entry* const entry = find(key);
      if (entry == nullptr || message.role == "assistant") continue;
      throw PlacedError(ErrorCode::invalid_value, entry->place,
                        fmt::format("'{}' is allowed in messages of the role assistant only", key));
    }
    std::string json;
    const auto add = [&](const char* name, const std::string& value) {
      json += fmt::format("{}{}:{}", json.empty() ? "" : ",", json_string(name), value);
      size_.add(value.size());
    };
    const auto add_text = [&](const char* name, const Node::Entry* entry) {
      if (entry != nullptr) add(name, json_string(text_of(*entry, *entry->value)));
    };
    const Node::Entry* const reasoning = find("reasoning_content");
    add_text("reasoning_content", reasoning != nullptr ? reasoning : find("reasoning"));
    const Node::Entry* const calls = find("tool_calls");
    if (calls != nullptr) add("tool_calls", tool_calls(*calls));
    // Calls without a text beside them: templates see no content then, which is not an empty one.
    if (calls != nullptr && element.get("content") == nullptr) add("content", "null");
    add_text("tool_call_id", find("tool_call_id"));
    // In requests the name of other roles tells apart who writes: no template reads it.
    if (!is_request() || message.role == "tool") add_text("name", find("name"));
    if (!json.empty()) message.other = "{" + json + "}";
    return calls == nullptr ? Calls::none : Calls::some;
  }

  /// As templates expect them: with arguments as objects.
  std::string tool_calls(const Node::Entry& entry) const {
    const char* const expected = "a list of {function: {name, arguments}}";
    Node calls;
    calls.kind = Node::Kind::list;
    for (const NodePointer& element : list_of(entry, expected)) {
      if (element->kind != Node::Kind::map) ill_typed(entry, expected);
      Node call = *element;
      for (Node::Entry& part : call.map) {
        if (part.key != "function" || part.value->kind != Node::Kind::map) continue;
        part.value = std::make_shared<Node>(with_parsed_arguments(*part.value));
      }
      calls.list.push_back(std::make_shared<Node>(std::move(call)));
    }
    if (calls.list.empty()) ill_typed(entry, expected);
    try {
      return to_json(calls, JsonForm::written, kMaxItemBytes);
    } catch (const std::length_error& e) {
      throw PlacedError(ErrorCode::invalid_item, entry.place, fmt::format("'tool_calls': {}", e.what()));
    }
  }

  static Node with_parsed_arguments(Node function) {
    for (Node::Entry& part : function.map) {
      if (part.key != "arguments" || part.value->kind != Node::Kind::text) continue;
      const ParsedJson parsed = parse_json(part.value->text);
      if (!parsed.fault && parsed.node->kind == Node::Kind::map) part.value = parsed.node;
    }
    return function;
  }

  void add_system(const Item::Message& message) {
    if (!is_request() || item_.messages.size() > 1 || item_.messages[0].role != "system")
      fail("the role system is allowed in the first message only");
    item_.messages[0].parts.clear();
    item_.messages[0].content += "\n" + message.content;
  }

  void read_content(const Node::Entry& content, Item::Message& message) {
    if (content.value->kind == Node::Kind::list) {
      parts_.clear();
      for (const NodePointer& part : content.value->list) read_part(content, *part, message);
      const auto text = std::find_if(parts_.begin(), parts_.end(),
                                     [](const std::string& part) { return part != kImagePart; });
      if (text != parts_.end() && std::next(text) != parts_.end())
        message.parts = fmt::format("[{}]", fmt::join(parts_, ","));
      return;
    }
    message.content = text_of(content, *content.value);
    size_.add(message.content.size());
  }

  /// What a part is: by its type, or, as some clients leave it out, by its one key.
  static std::string kind_of(const Node& part) {
    if (const Node::Entry* const type = part.get("type")) {
      const std::string kind = shortened(text_of(*type, *type->value), 80);
      return kind == "input_text" ? "text" : kind == "input_image" ? "image_url" : kind;
    }
    for (const char* key : {"text", "image_url", "image"}) {
      if (part.get(key) != nullptr) return key;
    }
    return "";
  }

  void read_part(const Node::Entry& content, const Node& part, Item::Message& message) {
    if (part.kind == Node::Kind::text) return add_text(part.text, message);
    const std::string kind = kind_of(part);
    if (const Node::Entry* const text = part.get("text"); kind == "text" && text != nullptr)
      return read_text(part, *text, message);
    if (const Node::Entry* const image = part.get("image_url"); kind == "image_url" && image != nullptr)
      return read_image(part, *image, message);
    const bool plain = kind == "image" && (!is_request() || names_image(part));
    const bool bare = kind == "image_url" && !is_request();
    if (plain || bare) return read_plain_image(part, message);
    throw PlacedError(
        ErrorCode::invalid_item, content.place,
        fmt::format("'content' must be a text, or a list of texts and of parts of type text or image_url{}{}",
                    is_request() ? "" : " (or image)", kind.empty() ? "" : fmt::format(", not '{}'", kind)));
  }

  static bool names_image(const Node& part) {
    return part.get("image") != nullptr || part.get("url") != nullptr;
  }

  void check_part_keys(const Node& part, std::vector<std::string> known, const std::string& owner) const {
    if (is_request()) {
      for (const Node::Entry& entry : part.map) {
        if (is_nothing(*entry.value)) known.push_back(entry.key);
      }
    }
    check_keys(part, known, owner);
  }

  void read_text(const Node& part, const Node::Entry& text, Item::Message& message) {
    check_part_keys(part, {"type", "text"}, "a text part");
    add_text(text_of(text, *text.value), message);
  }

  void add_text(const std::string& text, Item::Message& message) {
    if (!message.content.empty()) message.content += "\n";
    message.content += text;
    size_.add(text.size());
    parts_.push_back(fmt::format(R"({{"type":"text","text":{}}})", json_string(text)));
  }

  /// As transformers has it.
  void read_plain_image(const Node& part, Item::Message& message) {
    check_part_keys(part, {"type", "image", "url", "path"}, "an image part");
    check_image_role(message);
    for (const char* key : {"image", "url", "path"}) {
      if (const Node::Entry* const image = part.get(key)) return add_image(*image, message);
    }
    ++bare_images_;
    ++message.images;
    parts_.emplace_back(kImagePart);
  }

  void check_image_role(const Item::Message& message) const {
    if (message.role != "user" && message.role != "tool") fail("an image is allowed in user messages only");
  }

  void read_image(const Node& part, const Node::Entry& image, Item::Message& message) {
    check_part_keys(part, {"type", "image_url", "detail"}, "an image part");
    check_image_role(message);
    const Node::Entry* url = &image;
    if (image.value->kind == Node::Kind::map) {
      check_part_keys(*image.value, {"url", "detail"}, "'image_url'");
      url = image.value->get("url");
      if (url == nullptr) ill_typed(image, "a text or {url: text}");
    }
    add_image(*url, message);
  }

  void add_image(const Node::Entry& url, Item::Message& message) {
    const std::string& written = text_of(url, *url.value);
    if (stripped(written).empty()) ill_typed(url, "a path or URL that is not empty");
    size_.add(written.size());
    try {
      item_.images.push_back(resolve_image(written, source_.folders));
    } catch (const ItemError& e) {
      throw PlacedError(e.code(), url.place, e.what());
    }
    if (is_request()) check_request_image(item_.images.back(), url);
    ++message.images;
    parts_.emplace_back(kImagePart);
  }

  /// Requests come from elsewhere: they may name no file but below --media-root.
  void check_request_image(const Item::Image& image, const Node::Entry& url) const {
    if (!image.data.empty()) return;
    if (image.written.compare(0, 7, "file://") != 0)
      throw PlacedError(ErrorCode::invalid_value, url.place, "an image must be a data: or file:// URL");
    if (source_.folders.root.empty()) {
      throw PlacedError(ErrorCode::path_refused, url.place,
                        fmt::format("{}: files are read only below --media-root, which is not given",
                                    shortened(image.written, 200)));
    }
  }

  /// How turns read in the database: a single question as it is, otherwise one line per message.
  std::string text_for_people() const {
    if (item_.messages.size() == 1) return item_.messages[0].content;
    std::string out;
    for (const Item::Message& message : item_.messages) {
      out += fmt::format("{}{}: {}", out.empty() ? "" : "\n", message.role, message.content);
    }
    return out;
  }

  const MessageSource& source_;
  ItemSize& size_;
  Item& item_;
  Place place_;                     // of the message that is read
  std::vector<std::string> parts_;  // of the content that is read, as JSON
  std::size_t bare_images_ = 0;     // parts that stand for an image of the item's own
};

}  // namespace

void read_messages(const MessageSource& source, ItemSize& size, Item& item) {
  MessageReader(source, size, item).read();
}

}  // namespace mmbatch
