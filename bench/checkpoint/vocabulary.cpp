#include "bench/checkpoint/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mmbatch::bench {
namespace {

// Field numbers and enumerations of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum PieceField { kText = 1, kScore = 2, kType = 3 };
enum PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };
enum TrainerField { kModelType = 3, kVocabSize = 4, kByteFallback = 35, kUnkId = 40, kUnkPiece = 45 };
enum NormalizerField { kName = 1, kAddDummyPrefix = 3, kRemoveExtraSpaces = 4 };
constexpr std::uint64_t kBpe = 2;

constexpr std::string_view kSpace = "\xE2\x96\x81";
/// Letters about as often as English has them.
constexpr std::string_view kLetters = "eeeeettttaaaaoooiiinnnssshhhrrrddlluucmwfgypbvk";

/// Writes the fields of a protobuf message: https://protobuf.dev/programming-guides/encoding/
class ProtoWriter {
 public:
  void integer(int field, std::uint64_t value) {
    tag(field, 0);
    varint(value);
  }
  void bytes(int field, std::string_view value) {
    tag(field, 2);
    varint(value.size());
    bytes_ += value;
  }
  void number(int field, float value) {
    tag(field, 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 255);
  }
  const std::string& text() const { return bytes_; }

 private:
  void tag(int field, int wire) {
    varint(static_cast<std::uint64_t>(field) << 3 | static_cast<unsigned>(wire));
  }
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

/// The pieces of a model in order; each text is in it once.
class Pieces {
 public:
  explicit Pieces(std::size_t limit) : limit_(limit) {}

  bool full() const { return texts_.size() >= limit_; }
  /// False when the text is a piece already.
  bool add(const std::string& text, PieceType type) {
    if (full() || !texts_.insert(text).second) return false;
    ProtoWriter piece;
    piece.bytes(kText, text);
    // Merges are taken in the order of the pieces.
    piece.number(kScore, type == kNormal ? -static_cast<float>(texts_.size()) : 0.0f);
    piece.integer(kType, type);
    model_.bytes(kPieces, piece.text());
    return true;
  }
  ProtoWriter take() { return std::move(model_); }

 private:
  std::size_t limit_;
  std::unordered_set<std::string> texts_;
  ProtoWriter model_;
};

/// Each word is an earlier one and a letter, so that merges lead to it.
void add_words(Pieces& pieces) {
  std::mt19937 random(17);
  std::vector<std::string> words{std::string(kSpace)};
  for (const char letter : std::string_view("abcdefghijklmnopqrstuvwxyz")) words.emplace_back(1, letter);
  while (!pieces.full()) {
    const std::string word = words[random() % words.size()] + kLetters[random() % kLetters.size()];
    if (word.size() <= 12 && pieces.add(word, kNormal)) words.push_back(word);
  }
}

}  // namespace

std::string random_vocabulary(Layout layout, std::size_t count) {
  const bool llama = layout != Layout::paligemma;
  // The library finds the special pieces by their names, and their ids must be those that the trainer noted.
  const std::vector<std::string> special = llama
                                               ? std::vector<std::string>{"<unk>", "<s>", "</s>"}
                                               : std::vector<std::string>{"<pad>", "<eos>", "<bos>", "<unk>"};
  Pieces pieces(count);
  for (const std::string& text : special) pieces.add(text, text == "<unk>" ? kUnknown : kControl);
  for (int byte = 0; byte < 256; ++byte) pieces.add(fmt::format("<0x{:02X}>", byte), kByte);
  pieces.add(std::string(kSpace), kNormal);
  for (char c = '!'; c <= '~'; ++c) pieces.add(std::string(1, c), kNormal);
  add_words(pieces);

  ProtoWriter trainer;
  trainer.integer(kModelType, kBpe);
  trainer.integer(kVocabSize, count);
  trainer.integer(kByteFallback, 1);
  const char* const roles[] = {"<unk>", llama ? "<s>" : "<bos>", llama ? "</s>" : "<eos>", "<pad>"};
  for (int role = 0; role < 4; ++role) {
    const auto found = std::find(special.begin(), special.end(), roles[role]);
    const auto id = found == special.end() ? std::int64_t{-1} : found - special.begin();
    trainer.integer(kUnkId + role, static_cast<std::uint64_t>(id));
    trainer.bytes(kUnkPiece + role, roles[role]);
  }
  ProtoWriter normalizer;
  normalizer.bytes(kName, "identity");
  normalizer.integer(kAddDummyPrefix, llama ? 1 : 0);
  normalizer.integer(kRemoveExtraSpaces, 0);

  ProtoWriter model = pieces.take();
  model.bytes(kTrainer, trainer.text());
  model.bytes(kNormalizer, normalizer.text());
  return model.text();
}

}  // namespace mmbatch::bench
