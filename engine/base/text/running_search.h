#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// Looks for several texts in one that comes piece by piece, each byte once for each of them (Knuth, Morris
/// and Pratt, 1977): what it costs does not depend on how much came before.
class RunningSearch {
 public:
  /// @param texts not empty, each
  explicit RunningSearch(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) searches_.emplace_back(text);
  }

  /// True when one of the texts ends in this piece, wherever it began.
  bool push(std::string_view piece) {
    bool found = false;
    for (Search& search : searches_) {
      for (const char byte : piece) found |= search.push(byte);
    }
    return found;
  }

 private:
  class Search {
   public:
    explicit Search(const std::string& text) : text_(text), borders_(text.size() + 1, 0) {
      for (std::size_t i = 1; i < text.size(); ++i) {
        std::size_t border = borders_[i];
        while (border > 0 && text[i] != text[border]) border = borders_[border];
        borders_[i + 1] = text[i] == text[border] ? border + 1 : 0;
      }
    }
    bool push(char byte) {
      if (matched_ == text_.size()) matched_ = borders_[matched_];
      while (matched_ > 0 && text_[matched_] != byte) matched_ = borders_[matched_];
      if (text_[matched_] == byte) ++matched_;
      return matched_ == text_.size();
    }

   private:
    std::string text_;
    std::vector<std::size_t> borders_;  // of each prefix: its longest proper prefix that is also its end
    std::size_t matched_ = 0;
  };

  std::vector<Search> searches_;
};

}  // namespace mmbatch
