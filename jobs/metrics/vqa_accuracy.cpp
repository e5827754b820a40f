#include <algorithm>
#include <cctype>
#include <sstream>
#include <unordered_map>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/metrics/metrics.h"
#include "jobs/metrics/whole_number.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kHumanAnswers = 10;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// The evaluator's map, with its slips (somebody'd → somebodyd); its entries with capitals never match, since
// text is lower-cased before, and are left out.
const std::unordered_map<std::string_view, std::string_view>& contractions() {
  static const std::unordered_map<std::string_view, std::string_view> map = {
      {"aint", "ain't"},
      {"arent", "aren't"},
      {"cant", "can't"},
      {"couldve", "could've"},
      {"couldnt", "couldn't"},
      {"couldn'tve", "couldn't've"},
      {"couldnt've", "couldn't've"},
      {"didnt", "didn't"},
      {"doesnt", "doesn't"},
      {"dont", "don't"},
      {"hadnt", "hadn't"},
      {"hadnt've", "hadn't've"},
      {"hadn'tve", "hadn't've"},
      {"hasnt", "hasn't"},
      {"havent", "haven't"},
      {"hed", "he'd"},
      {"hed've", "he'd've"},
      {"he'dve", "he'd've"},
      {"hes", "he's"},
      {"howd", "how'd"},
      {"howll", "how'll"},
      {"hows", "how's"},
      {"isnt", "isn't"},
      {"itd", "it'd"},
      {"itd've", "it'd've"},
      {"it'dve", "it'd've"},
      {"itll", "it'll"},
      {"let's", "let's"},
      {"maam", "ma'am"},
      {"mightnt", "mightn't"},
      {"mightnt've", "mightn't've"},
      {"mightn'tve", "mightn't've"},
      {"mightve", "might've"},
      {"mustnt", "mustn't"},
      {"mustve", "must've"},
      {"neednt", "needn't"},
      {"notve", "not've"},
      {"oclock", "o'clock"},
      {"oughtnt", "oughtn't"},
      {"ow's'at", "'ow's'at"},
      {"'ows'at", "'ow's'at"},
      {"'ow'sat", "'ow's'at"},
      {"shant", "shan't"},
      {"shed've", "she'd've"},
      {"she'dve", "she'd've"},
      {"she's", "she's"},
      {"shouldve", "should've"},
      {"shouldnt", "shouldn't"},
      {"shouldnt've", "shouldn't've"},
      {"shouldn'tve", "shouldn't've"},
      {"somebody'd", "somebodyd"},
      {"somebodyd've", "somebody'd've"},
      {"somebody'dve", "somebody'd've"},
      {"somebodyll", "somebody'll"},
      {"somebodys", "somebody's"},
      {"someoned", "someone'd"},
      {"someoned've", "someone'd've"},
      {"someone'dve", "someone'd've"},
      {"someonell", "someone'll"},
      {"someones", "someone's"},
      {"somethingd", "something'd"},
      {"somethingd've", "something'd've"},
      {"something'dve", "something'd've"},
      {"somethingll", "something'll"},
      {"thats", "that's"},
      {"thered", "there'd"},
      {"thered've", "there'd've"},
      {"there'dve", "there'd've"},
      {"therere", "there're"},
      {"theres", "there's"},
      {"theyd", "they'd"},
      {"theyd've", "they'd've"},
      {"they'dve", "they'd've"},
      {"theyll", "they'll"},
      {"theyre", "they're"},
      {"theyve", "they've"},
      {"twas", "'twas"},
      {"wasnt", "wasn't"},
      {"wed've", "we'd've"},
      {"we'dve", "we'd've"},
      {"weve", "we've"},
      {"werent", "weren't"},
      {"whatll", "what'll"},
      {"whatre", "what're"},
      {"whats", "what's"},
      {"whatve", "what've"},
      {"whens", "when's"},
      {"whered", "where'd"},
      {"wheres", "where's"},
      {"whereve", "where've"},
      {"whod", "who'd"},
      {"whod've", "who'd've"},
      {"who'dve", "who'd've"},
      {"wholl", "who'll"},
      {"whos", "who's"},
      {"whove", "who've"},
      {"whyll", "why'll"},
      {"whyre", "why're"},
      {"whys", "why's"},
      {"wont", "won't"},
      {"wouldve", "would've"},
      {"wouldnt", "wouldn't"},
      {"wouldnt've", "wouldn't've"},
      {"wouldn'tve", "wouldn't've"},
      {"yall", "y'all"},
      {"yall'll", "y'all'll"},
      {"y'allll", "y'all'll"},
      {"yall'd've", "y'all'd've"},
      {"y'alld've", "y'all'd've"},
      {"y'all'dve", "y'all'd've"},
      {"youd", "you'd"},
      {"youd've", "you'd've"},
      {"you'dve", "you'd've"},
      {"youll", "you'll"},
      {"youre", "you're"},
      {"youve", "you've"}};
  return map;
}

const std::unordered_map<std::string_view, std::string_view>& numbers() {
  static const std::unordered_map<std::string_view, std::string_view> map = {
      {"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
      {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"}};
  return map;
}

bool has_digit_comma_digit(std::string_view text) {
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == ',' && is_digit(text[i - 1]) && is_digit(text[i + 1])) return true;
  }
  return false;
}

/// The evaluator's processPunctuation. It deletes periods by `(?!<=\d)(\.)(?!\d)`, meant as a lookbehind,
/// which comes to "no digit follows", and passes re.UNICODE, which is 32, where the largest number of
/// deletions is kept.
std::string without_punctuation(std::string_view text) {
  static constexpr std::string_view kPunctuation = ";/[]\"{}()=+\\_-><@`,?!";
  static constexpr int kMostPeriods = 32;
  const bool has_number = has_digit_comma_digit(text);
  std::string out(text);
  for (const char p : kPunctuation) {
    const bool beside_space = text.find(std::string{p, ' '}) != std::string_view::npos ||
                              text.find(std::string{' ', p}) != std::string_view::npos;
    if (beside_space || has_number)
      out.erase(std::remove(out.begin(), out.end(), p), out.end());
    else
      std::replace(out.begin(), out.end(), p, ' ');
  }
  std::string kept;
  int periods = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool stands_alone = out[i] == '.' && !(i + 1 < out.size() && is_digit(out[i + 1]));
    if (stands_alone && periods < kMostPeriods)
      ++periods;
    else
      kept += out[i];
  }
  return kept;
}

/// The evaluator's processDigitArticle.
std::string without_articles(std::string_view text) {
  std::istringstream words{to_lower(text)};
  std::string out;
  for (std::string word; words >> word;) {
    if (const auto number = numbers().find(word); number != numbers().end()) word = number->second;
    if (word == "a" || word == "an" || word == "the") continue;
    if (const auto full = contractions().find(word); full != contractions().end()) word = full->second;
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

std::string cleaned(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  std::replace(out.begin(), out.end(), '\t', ' ');
  return std::string(stripped(out));
}

}  // namespace

std::string vqa_normalized(std::string_view text) {
  return without_articles(without_punctuation(cleaned(text)));
}

double vqa_accuracy(std::string_view answer, const std::vector<std::string>& references) {
  if (references.empty()) return 0;
  std::string own = cleaned(answer);
  std::vector<std::string> human;
  for (const std::string& reference : references) human.push_back(cleaned(reference));
  const bool all_agree =
      std::all_of(human.begin(), human.end(), [&](const auto& one) { return one == human[0]; });
  const bool few = references.size() < kHumanAnswers;
  if (few || !all_agree) {
    own = without_articles(without_punctuation(own));
    for (std::string& one : human) one = without_articles(without_punctuation(one));
  }
  const auto matches = static_cast<double>(std::count(human.begin(), human.end(), own));
  if (few) {
    const bool any = std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
      return same_whole_number(reference, answer);
    });
    return matches > 0 || any ? 1 : 0;
  }
  // For each human answer the matches among the others: one less where it is itself a match.
  const auto count = static_cast<double>(human.size());
  const double of_matching = std::min(1.0, (matches - 1) / 3);
  const double of_others = std::min(1.0, matches / 3);
  return (matches * of_matching + (count - matches) * of_others) / count;
}

}  // namespace mmbatch
