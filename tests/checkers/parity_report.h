#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mmbatch::parity {

/// How far something found is from what was expected, and how far it may be.
struct Deviation {
  double error = 0.0;
  double allowed = 0.0;
  bool fits() const { return error <= allowed; }  // not so for NaN
};

/// Counts checks by stage. Failures go to stderr as they happen, the table to stdout at the end.
class Report {
 public:
  void numbers(const std::string& stage, const std::string& what, const Deviation& deviation);
  /// @param differing tokens that are not as they must be  @param details shown when there are any
  void tokens(const std::string& stage, const std::string& what, std::size_t differing,
              const std::string& details);
  /// A check that could not even be made.
  void failure(const std::string& stage, const std::string& what, const std::string& details);

  std::size_t checks() const;
  std::size_t failed() const;
  /// One line a stage, and the sum.
  std::string table() const;

 private:
  struct Line {
    std::string stage;
    std::size_t checks = 0;
    std::size_t failed = 0;
    bool has_numbers = false;
    bool has_tokens = false;
    Deviation worst;  // nearest to, or farthest over, what is allowed
    std::size_t differing = 0;
  };
  Line& line(const std::string& stage);
  void fail(Line& line, const std::string& what, const std::string& details);

  std::vector<Line> lines_;  // in order of first use
};

}  // namespace mmbatch::parity
