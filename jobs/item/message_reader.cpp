#include "jobs/item/message_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

class MessageReader {
 public:
  MessageReader(const MessageSource& source, ItemSize& size, Item& item)
      : source_(source), size_(size), item_(item) {}

  void read() {
    const char* const expected = "a list of {role, content}";
    const auto& list = list_of(source_.messages, expected);
    if (list.empty()) ill_typed(source_.messages, expected);
    for (const NodePointer& element : list) read_message(*element);
    if (item_.messages.empty() || item_.messages.back().role != "user")
      fail("the last of 'messages' must have the role user");
    item_.form = PromptForm::turns;
    item_.prompt = text_for_people();
  }

 private:
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
    const std::vector<std::string> known = {"role", "content"};
    if (!is_request()) return check_keys(message, known, "a message");
    check_unique(message);
    for (const Node::Entry& entry : message.map) {
      if (entry.key == "role" || entry.key == "content" || entry.key == "name" || is_nothing(*entry.value))
        continue;
      for (const char* other : {"tool_calls", "function_call", "tool_call_id", "refusal", "audio",
                                "annotations", "reasoning_content", "reasoning"}) {
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
    if (role == "user" || role == "assistant" || role == "system") return role;
    if (is_request() && (role == "tool" || role == "function"))
      fail(fmt::format("the role {} is not supported", role), ErrorCode::unsupported);
    fail(fmt::format("role '{}' is not one of user, assistant, system", shortened(role, 80)),
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
    if (content == nullptr && !(is_request() && message.role == "system"))
      fail("a message needs 'role' and 'content'");
    if (content != nullptr) read_content(*content, message);
    const bool is_empty = stripped(message.content).empty() && message.images == 0;
    if (is_empty && is_request() && message.role == "system") return;
    if (is_empty) fail(fmt::format("a {} message is empty", message.role), ErrorCode::prompt_empty);
    if (message.role == "system" && !item_.messages.empty()) return add_system(message);
    item_.messages.push_back(std::move(message));
  }

  void add_system(const Item::Message& message) {
    if (!is_request() || item_.messages.size() > 1 || item_.messages[0].role != "system")
      fail("the role system is allowed in the first message only");
    item_.messages[0].content += "\n" + message.content;
  }

  void read_content(const Node::Entry& content, Item::Message& message) {
    if (content.value->kind == Node::Kind::list) {
      for (const NodePointer& part : content.value->list) read_part(content, *part, message);
      return;
    }
    message.content = text_of(content, *content.value);
    size_.add(message.content.size());
  }

  void read_part(const Node::Entry& content, const Node& part, Item::Message& message) {
    const Node::Entry* const type = part.get("type");
    const std::string kind = type == nullptr ? "" : shortened(text_of(*type, *type->value), 80);
    if (const Node::Entry* const text = part.get("text"); kind == "text" && text != nullptr)
      return read_text(part, *text, message);
    if (const Node::Entry* const image = part.get("image_url"); kind == "image_url" && image != nullptr)
      return read_image(part, *image, message);
    throw PlacedError(ErrorCode::invalid_item, content.place,
                      fmt::format("'content' must be a text, or a list of parts of type text or image_url{}",
                                  kind.empty() ? "" : fmt::format(", not '{}'", kind)));
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
    if (!message.content.empty()) message.content += "\n";
    message.content += text_of(text, *text.value);
    size_.add(text.value->text.size());
  }

  void read_image(const Node& part, const Node::Entry& image, Item::Message& message) {
    check_part_keys(part, {"type", "image_url"}, "an image part");
    if (message.role != "user") fail("an image is allowed in user messages only");
    const Node::Entry* url = &image;
    if (image.value->kind == Node::Kind::map) {
      check_part_keys(*image.value, {"url", "detail"}, "'image_url'");
      url = image.value->get("url");
      if (url == nullptr) ill_typed(image, "a text or {url: text}");
    }
    const std::string& written = text_of(*url, *url->value);
    if (stripped(written).empty()) ill_typed(*url, "a path or URL that is not empty");
    size_.add(written.size());
    try {
      item_.images.push_back(resolve_image(written, source_.folders));
    } catch (const ItemError& e) {
      throw PlacedError(e.code(), url->place, e.what());
    }
    if (is_request()) check_request_image(item_.images.back(), *url);
    ++message.images;
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
  Place place_;  // of the message that is read
};

}  // namespace

void read_messages(const MessageSource& source, ItemSize& size, Item& item) {
  MessageReader(source, size, item).read();
}

}  // namespace mmbatch
