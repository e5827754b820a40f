#include "text/template/jinja/value/operators.h"

#include <algorithm>
#include <cmath>

#include "text/template/jinja/text/format.h"
#include "text/template/jinja/text/text_search.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

constexpr std::size_t kItemWork = 8, kEntryWork = 32;  // of comparing

void check_depth(int depth) {
  if (depth > kMaxNesting) throw RenderError("maximum recursion depth exceeded in comparison");
}

[[noreturn]] void fail_operands(std::string_view op, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) fail_undefined(*value);
  }
  if (op == "+" && left.string() != nullptr) {
    throw RenderError("can only concatenate str (not \"" + type_name(right) + "\") to str");
  }
  if (op == "+" && left.items() != nullptr) {
    throw RenderError("can only concatenate " + type_name(left) + " (not \"" + type_name(right) + "\") to " +
                      type_name(left));
  }
  throw RenderError("unsupported operand type(s) for " + std::string(op) + ": '" + type_name(left) +
                    "' and '" + type_name(right) + "'");
}

/// By reference: the operation that says whether it overflows stores its result first.
Int checked(bool overflow, const Int& value) {
  if (overflow) throw RenderError("an integer too large for this program", RenderError::Kind::limit);
  return value;
}

Int opposite(Int value) {
  return checked(__builtin_sub_overflow(Int{0}, value, &value), value);
}

Int power(Int base, Int exponent) {
  Int result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = checked(__builtin_mul_overflow(result, base, &result), result);
    if (exponent > 1) base = checked(__builtin_mul_overflow(base, base, &base), base);
  }
  return result;
}

Value integers(std::string_view op, Int a, Int b) {
  Int out = 0;
  if (op == "+") return checked(__builtin_add_overflow(a, b, &out), out);
  if (op == "-") return checked(__builtin_sub_overflow(a, b, &out), out);
  if (op == "*") return checked(__builtin_mul_overflow(a, b, &out), out);
  if (op == "**") {
    if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
    if (a == 0 || a == 1) return b == 0 ? Int{1} : a;
    if (a == -1) return b % 2 == 0 ? Int{1} : Int{-1};
    if (b > 200) throw RenderError("an integer too large for this program", RenderError::Kind::limit);
    return power(a, b);
  }
  if (b == 0) throw RenderError(op == "/" ? "division by zero" : "integer division or modulo by zero");
  if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (b == -1) return op == "//" ? opposite(a) : Int{0};  // the least integer has no quotient
  Int quotient = a / b, rest = a % b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    --quotient;
    rest += b;
  }
  return op == "//" ? quotient : rest;
}

Value floats(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) throw RenderError(op == "/" ? "float division by zero" : "float modulo");
  if (op == "/") return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  return op == "//" ? std::floor((a - rest) / b + 0.5) : rest;
}

Value repeat(const Value& value, Int times) {
  const auto count = static_cast<std::size_t>(times < 0 ? Int{0} : std::min<Int>(times, Int{1} << 40));
  if (const std::string* text = value.string()) {
    if (text->empty() || count == 0) return Value::text("", value.is_safe());
    check_size(count > kMaxTextBytes ? count : text->size() * count, kMaxTextBytes);
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += *text;
    return Value::text(std::move(out), value.is_safe());
  }
  const List& items = *value.items();
  if (!items.empty()) check_size(count > kMaxItems ? count : items.size() * count, kMaxItems);
  List out;
  for (std::size_t i = 0; i < count && !items.empty(); ++i) out.insert(out.end(), items.begin(), items.end());
  return value.is<TupleRef>() ? Value::tuple(std::move(out)) : Value::list(std::move(out));
}

Value add_texts(const Value& left, const Value& right) {
  const std::string &a = *left.string(), &b = *right.string();
  check_size(a.size() + b.size(), kMaxTextBytes);
  const bool safe = left.is_safe() || right.is_safe();
  const auto part = [&](const Value& value, const std::string& text) {
    return safe && !value.is_safe() ? escape_html(text) : text;
  };
  return safe ? Value::text(part(left, a) + part(right, b), true) : Value::text(a + b, false);
}

bool equal_at(const Value& left, const Value& right, int depth) {
  check_depth(depth);
  if (left.is_undefined() || right.is_undefined()) return left.is_undefined() && right.is_undefined();
  if (left.is_none() || right.is_none()) return left.is_none() && right.is_none();
  if (const auto a = left.integer(), b = right.integer(); a && b) return *a == *b;
  if (const auto a = left.number(), b = right.number(); a && b) return *a == *b;
  if (left.string() != nullptr && right.string() != nullptr) {
    if (left.string()->size() != right.string()->size()) return false;
    charge_looking(left);
    return *left.string() == *right.string();
  }
  if (left.items() != nullptr && right.items() != nullptr) {
    if (left.is<ListRef>() != right.is<ListRef>()) return false;
    const List &a = *left.items(), &b = *right.items();
    if (a.size() != b.size()) return false;
    charge(a.size() * kItemWork);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!equal_at(a[i], b[i], depth + 1)) return false;
    }
    return true;
  }
  if (left.dict() != nullptr && right.dict() != nullptr) {
    if (left.dict()->size() != right.dict()->size()) return false;
    charge(left.dict()->size() * kEntryWork);
    for (const auto& [key, value] : left.dict()->entries()) {
      const Value* other = right.dict()->find(key);
      if (other == nullptr || !equal_at(value, *other, depth + 1)) return false;
    }
    return true;
  }
  const auto *a = left.get<std::shared_ptr<Object>>(), *b = right.get<std::shared_ptr<Object>>();
  return a != nullptr && b != nullptr && *a == *b;
}

bool ordered_at(std::string_view op, const Value& left, const Value& right, int depth) {
  check_depth(depth);
  const auto decide = [&](auto a, auto b) {
    if (op == "<") return a < b;
    if (op == "<=") return a <= b;
    if (op == ">") return a > b;
    return a >= b;
  };
  if (const auto a = left.integer(), b = right.integer(); a && b) return decide(*a, *b);
  if (const auto a = left.number(), b = right.number(); a && b) return decide(*a, *b);
  if (left.string() != nullptr && right.string() != nullptr) {
    charge_looking(left.string()->size() < right.string()->size() ? left : right);
    return decide(std::string_view(*left.string()), std::string_view(*right.string()));
  }
  const bool lists =
      left.items() != nullptr && right.items() != nullptr && left.is<ListRef>() == right.is<ListRef>();
  if (lists) {
    const List &a = *left.items(), &b = *right.items();
    charge(std::min(a.size(), b.size()) * kItemWork);
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (!equal(a[i], b[i])) return ordered_at(op, a[i], b[i], depth + 1);
    }
    return decide(a.size(), b.size());
  }
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) fail_undefined(*value);
  }
  throw RenderError("'" + std::string(op) + "' not supported between instances of '" + type_name(left) +
                    "' and '" + type_name(right) + "'");
}

}  // namespace

void check_size(std::size_t bytes, std::size_t most) {
  if (bytes > most)
    throw RenderError("the template makes a value that is too large", RenderError::Kind::limit);
}

Value arithmetic(std::string_view op, const Value& left, const Value& right) {
  const auto a = left.integer(), b = right.integer();
  if (op == "%" && left.string() != nullptr) return percent_format(left, right);
  if (a && b) return integers(op, *a, *b);
  if (const auto x = left.number(), y = right.number(); x && y) return floats(op, *x, *y);
  const bool left_text = left.string() != nullptr, right_text = right.string() != nullptr;
  if (op == "+" && left_text && right_text) return add_texts(left, right);
  if (op == "+" && left.items() != nullptr && right.items() != nullptr &&
      left.is<ListRef>() == right.is<ListRef>()) {
    List items = *left.items();
    check_size(items.size() + right.items()->size(), kMaxItems);
    items.insert(items.end(), right.items()->begin(), right.items()->end());
    return left.is<ListRef>() ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  const bool left_sequence = left_text || left.items() != nullptr,
             right_sequence = right_text || right.items() != nullptr;
  if (op == "*" && left_sequence && b) return repeat(left, *b);
  if (op == "*" && right_sequence && a) return repeat(right, *a);
  if (op == "*" && left_sequence && !right.is_undefined()) {
    throw RenderError("can't multiply sequence by non-int of type '" + type_name(right) + "'");
  }
  fail_operands(op, left, right);
}

Value negate(const Value& value) {
  if (const auto integer = value.integer()) return opposite(*integer);
  if (const double* number = value.get<double>()) return -*number;
  if (value.is_undefined()) fail_undefined(value);
  throw RenderError("bad operand type for unary -: '" + type_name(value) + "'");
}

Value positive(const Value& value) {
  if (const auto integer = value.integer()) return *integer;
  if (value.is<double>()) return value;
  if (value.is_undefined()) fail_undefined(value);
  throw RenderError("bad operand type for unary +: '" + type_name(value) + "'");
}

bool equal(const Value& left, const Value& right) {
  return equal_at(left, right, 0);
}

bool ordered(std::string_view op, const Value& left, const Value& right) {
  return ordered_at(op, left, right, 0);
}

bool contains(const Value& container, const Value& item) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.string()) {
    if (item.string() == nullptr) {
      throw RenderError("'in <string>' requires string as left operand, not " + type_name(item));
    }
    charge_looking(container);
    return find_text(*text, *item.string()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item) != nullptr;
  const auto* object = container.get<std::shared_ptr<Object>>();
  if (container.items() == nullptr && object == nullptr) {
    throw RenderError("argument of type '" + type_name(container) + "' is not iterable");
  }
  for (const Value& known : iterate(container)) {
    if (equal(known, item)) return true;
  }
  return false;
}

}  // namespace mmbatch::jinja
