#include "jobs/results/columns/schema_columns.h"

#include <algorithm>
#include <set>

#include "jobs/text/json_node.h"

namespace mmbatch {
namespace {

constexpr int kMaxDepth = 32;
/// Subschemas that are looked at: references can make a tree of a few lines that no computer walks through.
constexpr std::size_t kMaxSteps = 100'000;

std::string joined(const std::vector<std::string>& keys, const char* none) {
  std::string out;
  for (const std::string& key : keys) out += (out.empty() ? "" : ".") + key;
  return keys.empty() ? none : out;
}

/// What a subschema says about the kind of its values, with everything that it refers to.
struct Shape {
  bool integer = false, real = false, text = false, open = false;  // open: anything
  std::vector<const Node*> objects, lists;                         // the subschemas with properties, or items
  std::size_t object_branches = 0;                                 // alternatives among them
};

class Reader {
 public:
  explicit Reader(const Node& root) : root_(root) {}

  SchemaTable table() {
    SchemaTable out;
    place(shape_of(root_, 0), {}, out, 0);
    return out;
  }

 private:
  const Node* target(const Node& schema) const {
    const Node::Entry* ref = schema.find("$ref");
    if (ref == nullptr || ref->value->kind != Node::Kind::text || !ref->value->text.starts_with("#"))
      return nullptr;
    const Node* at = &root_;
    const std::string& text = ref->value->text;
    for (std::size_t from = 1; from < text.size() && at != nullptr;) {
      const std::size_t end = std::min(text.find('/', from + 1), text.size());
      std::string key;
      for (std::size_t i = from + 1; i < end; ++i) {
        const bool escape = text[i] == '~' && i + 1 < end;
        key += escape ? (text[++i] == '0' ? '~' : '/') : text[i];
      }
      const Node::Entry* next = at->find(key);
      at = next == nullptr ? nullptr : next->value.get();
      from = end;
    }
    return at;
  }

  static void add_type(const std::string& type, const Node& schema, Shape& out) {
    if (type == "integer" || type == "boolean") out.integer = true;
    if (type == "number") out.real = true;
    if (type == "string") out.text = true;
    if (type == "object") out.objects.push_back(&schema);
    if (type == "array") out.lists.push_back(&schema);
  }

  static void add_constant(const Node& value, Shape& out) {
    switch (value.kind) {
      case Node::Kind::boolean:
        out.integer = true;
        break;
      case Node::Kind::number: {
        std::int64_t whole = 0;
        (integer_of(value.text, whole) ? out.integer : out.real) = true;
        break;
      }
      case Node::Kind::text:
        out.text = true;
        break;
      case Node::Kind::list:
      case Node::Kind::map:
        out.open = true;
        break;
      case Node::Kind::null:
        break;
    }
  }

  void gather(const Node& schema, Shape& out, int depth) {
    if (++steps_ > kMaxSteps || depth > kMaxDepth || schema.kind != Node::Kind::map) {
      out.open = true;
      return;
    }
    const auto list = [&](const char* key) -> const std::vector<NodePointer>* {
      const Node::Entry* entry = schema.find(key);
      return entry != nullptr && entry->value->kind == Node::Kind::list ? &entry->value->list : nullptr;
    };
    bool said = false;
    if (const Node* referred = target(schema)) {
      gather(*referred, out, depth + 1);
      said = true;
    }
    if (const auto* all = list("allOf")) {
      for (const NodePointer& part : *all) gather(*part, out, depth + 1);
      said = true;
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      const auto* any = list(key);
      if (any == nullptr) continue;
      said = true;
      for (const NodePointer& branch : *any) {
        const std::size_t before = out.objects.size();
        gather(*branch, out, depth + 1);
        if (out.objects.size() > before) ++out.object_branches;
      }
    }
    const Node::Entry* type = schema.find("type");
    if (const auto* values = list("enum")) {
      for (const NodePointer& value : *values) add_constant(*value, out);
    } else if (const Node::Entry* constant = schema.find("const")) {
      add_constant(*constant->value, out);
    } else if (type != nullptr) {
      add_type(type->value->text, schema, out);
      for (const NodePointer& name : type->value->list) add_type(name->text, schema, out);
    } else if (schema.find("properties")) {
      out.objects.push_back(&schema);
    } else if (schema.find("items") || schema.find("prefixItems")) {
      out.lists.push_back(&schema);
    } else if (schema.find("pattern") || schema.find("format") || schema.find("maxLength") ||
               schema.find("minLength")) {
      out.text = true;
    } else if (schema.find("minimum") || schema.find("maximum") || schema.find("multipleOf")) {
      out.real = true;
    } else if (!said) {
      out.open = true;
    }
  }

  Shape shape_of(const Node& schema, int depth) {
    Shape shape;
    gather(schema, shape, depth);
    return shape;
  }

  /// Puts the columns of a value that stands behind `path` into a table.
  void place(const Shape& shape, const std::vector<std::string>& path, SchemaTable& table, int depth) {
    if (columns_ >= kMaxSchemaColumns) return;
    const bool scalar = shape.integer || shape.real || shape.text;
    const bool one_object = !shape.objects.empty() && shape.object_branches <= 1 && has_properties(shape);
    if (!shape.open && !scalar && shape.lists.empty() && one_object && depth < kMaxDepth &&
        enter(shape.objects)) {
      for (const Node* object : shape.objects) {
        const Node::Entry* properties = object->find("properties");
        if (properties == nullptr) continue;
        for (const Node::Entry& property : properties->value->map) {
          if (property.key.find('\0') != std::string::npos) continue;  // where SQLite's texts end
          std::vector<std::string> inner = path;
          inner.push_back(property.key);
          place(shape_of(*property.value, depth), inner, table, depth + 1);
        }
      }
      leave(shape.objects);
      return;
    }
    if (!shape.open && !scalar && shape.objects.empty() && shape.lists.size() == 1 && depth < kMaxDepth &&
        enter(shape.lists)) {
      SchemaTable child;
      child.list = path;
      const Node::Entry* items = shape.lists.front()->find("items");
      const bool described = items != nullptr && items->value->kind == Node::Kind::map &&
                             shape.lists.front()->find("prefixItems") == nullptr;
      if (described)
        place(shape_of(*items->value, depth), {}, child, depth + 1);
      else
        add({}, SchemaColumn::Type::json, child);
      table.children.push_back(std::move(child));
      leave(shape.lists);
      return;
    }
    const bool mixed = shape.open || !shape.objects.empty() || !shape.lists.empty();
    SchemaColumn::Type type = SchemaColumn::Type::text;
    if (mixed)
      type = SchemaColumn::Type::json;
    else if (!shape.text)
      type = shape.real ? SchemaColumn::Type::real : SchemaColumn::Type::integer;
    add(path, scalar || mixed ? type : SchemaColumn::Type::text, table);
  }

  static bool has_properties(const Shape& shape) {
    return std::any_of(shape.objects.begin(), shape.objects.end(), [](const Node* object) {
      const Node::Entry* properties = object->find("properties");
      return properties != nullptr && !properties->value->map.empty();
    });
  }

  bool enter(const std::vector<const Node*>& schemas) {
    if (std::any_of(schemas.begin(), schemas.end(), [&](const Node* s) { return open_.contains(s); }))
      return false;
    open_.insert(schemas.begin(), schemas.end());
    return true;
  }
  void leave(const std::vector<const Node*>& schemas) {
    for (const Node* schema : schemas) open_.erase(schema);
  }

  void add(const std::vector<std::string>& path, SchemaColumn::Type type, SchemaTable& table) {
    ++columns_;
    table.columns.push_back({path, type});
  }

  const Node& root_;
  std::set<const Node*> open_;  // within which we are
  std::size_t columns_ = 0, steps_ = 0;
};

}  // namespace

std::string SchemaColumn::name() const {
  return joined(path, "value");
}

std::string SchemaTable::name() const {
  return joined(list, "items");
}

SchemaTable columns_of_schema(std::string_view schema) {
  const ParsedJson parsed = parse_json(schema);
  return parsed.node ? Reader(*parsed.node).table() : SchemaTable{};
}

}  // namespace mmbatch
