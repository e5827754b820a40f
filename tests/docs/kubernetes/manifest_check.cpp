#include "tests/docs/kubernetes/manifest_check.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <regex>
#include <set>
#include <sstream>

namespace mmbatch::testing {
namespace {

bool matches(const std::string& text, const char* pattern) {
  return std::regex_match(text, std::regex(pattern));
}

class Check {
 public:
  explicit Check(const YAML::Node& schema) : schema_(schema) {}

  /// @param type a type's name, words, or either with "[]"
  void value(const YAML::Node& node, const std::string& type, const std::string& place) {
    if (type.ends_with("[]")) return list(node, type.substr(0, type.size() - 2), place);
    if (schema_[type]) return object(node, type, place);
    if (!node.IsScalar()) return problem(node, place, fmt::format("must be {}", type));
    const std::string& text = node.Scalar();
    const bool quoted = node.Tag() == "!";
    const bool is_int = !quoted && matches(text, "-?[0-9]+");
    const bool is_bool = !quoted && matches(text, "true|false");
    const bool is_other = !quoted && matches(text, "-?[0-9]*\\.[0-9]+|null|~|");
    const bool fits = type == "int"            ? is_int
                      : type == "bool"         ? is_bool
                      : type == "string"       ? !is_int && !is_bool && !is_other
                      : type.starts_with("= ") ? text == type.substr(2)
                      : type == "quantity" ? matches(text, "[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
                                           : is_one_of(text, type);
    if (!fits)
      problem(node, place,
              fmt::format("is '{}', must be {}", text, type.starts_with("= ") ? type.substr(2) : type));
  }
  void problem(const YAML::Node& node, const std::string& place, const std::string& what) {
    problems_.push_back(fmt::format("line {}: {}: {}", node.Mark().line + 1, place, what));
  }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  static bool is_one_of(const std::string& text, const std::string& words) {
    std::istringstream all(words);
    for (std::string word; all >> word;)
      if (word == text) return true;
    return false;
  }
  void list(const YAML::Node& node, const std::string& type, const std::string& place) {
    if (!node.IsSequence()) return problem(node, place, "must be a list");
    for (std::size_t i = 0; i < node.size(); ++i) value(node[i], type, fmt::format("{}[{}]", place, i));
  }
  void object(const YAML::Node& node, const std::string& type, const std::string& place) {
    if (!node.IsMap()) return problem(node, place, fmt::format("must be a map, {}", type));
    const YAML::Node fields = schema_[type];
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>();
      const std::string below = place.empty() ? name : place + "." + name;
      if (!seen.insert(name).second) problem(entry.first, below, "is there twice");
      const YAML::Node field = fields[name]         ? fields[name]
                               : fields[name + "!"] ? fields[name + "!"]
                                                    : fields["*"];
      if (field)
        value(entry.second, field.as<std::string>(), below);
      else
        problem(entry.first, below, fmt::format("{} has no such field", type));
    }
    for (const auto& field : fields) {
      const auto name = field.first.as<std::string>();
      if (name.ends_with("!") && seen.count(name.substr(0, name.size() - 1)) == 0)
        problem(node, place, fmt::format("{} must have {}", type, name.substr(0, name.size() - 1)));
    }
  }

  YAML::Node schema_;
  std::vector<std::string> problems_;
};

/// What no single field can show.
void check_meaning(const YAML::Node& job, Check& check) {
  const YAML::Node spec = job["spec"];
  const bool indexed = spec["completionMode"] && spec["completionMode"].as<std::string>() == "Indexed";
  if (indexed && !spec["completions"]) check.problem(spec, "spec", "an indexed Job must have completions");
  const YAML::Node pod = spec["template"]["spec"];
  std::set<std::string> volumes;
  for (const YAML::Node& volume : pod["volumes"]) volumes.insert(volume["name"].as<std::string>());
  for (const YAML::Node& container : pod["containers"]) {
    for (const YAML::Node& mount : container["volumeMounts"]) {
      if (volumes.count(mount["name"].as<std::string>()) == 0)
        check.problem(mount, "volumeMounts", fmt::format("no volume is named '{}'", mount["name"].Scalar()));
    }
  }
}

}  // namespace

std::vector<std::string> problems_of_manifests(const std::string& manifests, const std::string& schema) {
  Check check(YAML::Load(schema));
  for (const YAML::Node& manifest : YAML::LoadAll(manifests)) {
    if (!manifest["kind"] || manifest["kind"].as<std::string>() != "Job") {
      check.problem(manifest, "kind", "the schema here knows Job alone");
      continue;
    }
    check.value(manifest, "Job", "");
    if (check.problems().empty()) check_meaning(manifest, check);
  }
  return check.problems();
}

std::vector<std::string> manifests_of_page(const std::string& markdown) {
  std::vector<std::string> manifests;
  std::istringstream lines(markdown);
  std::string block;
  bool within = false;
  for (std::string line; std::getline(lines, line);) {
    if (!within && line.starts_with("```yaml")) {
      within = true;
      block.clear();
    } else if (within && line.starts_with("```")) {
      within = false;
      if (block.find("apiVersion:") != std::string::npos) manifests.push_back(block);
    } else if (within) {
      block += line + "\n";
    }
  }
  return manifests;
}

}  // namespace mmbatch::testing
