#include "text/tokenizer/sentencepiece/sentencepiece_model.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/sentencepiece/charsmap.h"
#include "text/tokenizer/sentencepiece/proto_reader.h"

namespace mmbatch {
namespace {

// Field numbers of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kTrainer = 2, kNormalizer = 3, kDenormalizer = 5 };
enum PieceField { kPieceText = 1, kPieceScore = 2, kPieceType = 3 };
enum TrainerField { kSpaceAsSuffix = 24, kByteFallback = 35, kUnkSurface = 44 };
enum NormalizerField { kCharsmap = 2, kAddDummyPrefix = 3, kRemoveExtraSpaces = 4 };

constexpr std::size_t kMaxNestedPieces = 64;  // user-defined ones: the library's array of results

/// A NormalizerSpec that only says add_dummy_prefix: false. Appended to a model it is merged into the stored
/// one, as protobuf merges a repeated message field.
constexpr std::string_view kNoDummyPrefix = "\x1A\x02\x18\x00";
constexpr std::size_t kNoDummyPrefixBytes = 4;

std::uint8_t byte_of(const std::string& piece, const std::string& source) {
  std::uint8_t value = 0;
  const char* digits = piece.data() + 3;
  const bool framed = piece.size() == 6 && piece.starts_with("<0x") && piece.back() == '>';
  const auto read = framed ? std::from_chars(digits, digits + 2, value, 16) : std::from_chars_result{};
  if (!framed || read.ec != std::errc() || read.ptr != digits + 2) {
    throw ModelError(fmt::format("{}: '{}' is not a byte piece", source, piece));
  }
  return value;
}

std::optional<std::int32_t> id_or_none(int id) {
  return id < 0 ? std::nullopt : std::optional<std::int32_t>(id);
}

}  // namespace

struct SentencePieceModel::Library {
  sentencepiece::SentencePieceProcessor processor;
  std::unordered_map<std::string_view, std::int32_t> ids;  // into pieces_
};

SentencePieceModel::SentencePieceModel(std::string_view bytes, const std::string& source,
                                       DummyPrefix dummy_prefix) {
  if (bytes.size() > kMaxFileBytes) {
    throw ModelError(fmt::format("{}: larger than {} MiB", source, kMaxFileBytes >> 20));
  }
  read(bytes, source);
  check_pieces(source);
  std::string serialized(bytes);
  dummy_prefix_ = stored_dummy_prefix_ && dummy_prefix == DummyPrefix::as_stored;
  if (dummy_prefix == DummyPrefix::off) {
    serialized += std::string_view(kNoDummyPrefix.data(), kNoDummyPrefixBytes);
  }
  auto library = std::make_unique<Library>();
  std::string problem;
  try {
    const auto status = library->processor.LoadFromSerializedProto(serialized);
    if (!status.ok()) problem = status.ToString();
  } catch (const std::exception& e) {
    problem = e.what();
  }
  if (problem.empty() && static_cast<std::size_t>(library->processor.GetPieceSize()) != pieces_.size()) {
    problem = "pieces are missing";
  }
  if (!problem.empty())
    throw ModelError(fmt::format("{}: no valid sentencepiece model: {}", source, problem));
  library->ids.reserve(pieces_.size());
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    library->ids.emplace(pieces_[id].text, static_cast<std::int32_t>(id));
  }
  library_ = std::move(library);
}

SentencePieceModel::~SentencePieceModel() = default;
SentencePieceModel::SentencePieceModel(SentencePieceModel&&) noexcept = default;
SentencePieceModel& SentencePieceModel::operator=(SentencePieceModel&&) noexcept = default;

void SentencePieceModel::read(std::string_view bytes, const std::string& source) {
  for (ProtoReader model(bytes, source); model.next();) {
    if (model.field() == kPieces) read_piece(model.bytes(), source);
    if (model.field() == kTrainer) read_trainer(model.bytes(), source);
    if (model.field() == kNormalizer) read_normalizer(model.bytes(), source);
    if (model.field() == kDenormalizer) {
      for (ProtoReader spec(model.bytes(), source); spec.next();) {
        if (spec.field() == kCharsmap && !spec.bytes().empty()) {
          throw ModelError(fmt::format("{}: decoding rules (denormalizer_spec) are not supported", source));
        }
      }
    }
  }
}

void SentencePieceModel::read_piece(std::string_view bytes, const std::string& source) {
  SentencePiece piece;
  for (ProtoReader field(bytes, source); field.next();) {
    if (field.field() == kPieceText) piece.text = field.bytes();
    if (field.field() == kPieceScore && !std::isfinite(field.number())) {
      throw ModelError(fmt::format("{}: piece {} has no finite score", source, pieces_.size()));
    }
    if (field.field() == kPieceType) {
      if (field.integer() < 1 || field.integer() > 6) {
        throw ModelError(fmt::format("{}: piece {} is of unknown type", source, pieces_.size()));
      }
      piece.kind = static_cast<PieceKind>(field.integer());
    }
  }
  if (piece.text.empty() || piece.text.find('\0') != std::string::npos || !is_utf8(piece.text)) {
    throw ModelError(fmt::format("{}: piece {} is not text", source, pieces_.size()));
  }
  if (piece.kind == PieceKind::byte) piece.byte = byte_of(piece.text, source);
  pieces_.push_back(std::move(piece));
}

void SentencePieceModel::read_trainer(std::string_view bytes, const std::string& source) {
  for (ProtoReader field(bytes, source); field.next();) {
    if (field.field() == kByteFallback) byte_fallback_ = field.integer() != 0;
    if (field.field() == kUnkSurface) unk_surface_ = replace_invalid_utf8(field.bytes());
    if (field.field() == kSpaceAsSuffix && field.integer() != 0) {
      throw ModelError(fmt::format("{}: treat_whitespace_as_suffix is not supported", source));
    }
  }
}

void SentencePieceModel::read_normalizer(std::string_view bytes, const std::string& source) {
  for (ProtoReader field(bytes, source); field.next();) {
    if (field.field() == kCharsmap && !field.bytes().empty()) check_charsmap(field.bytes(), source);
    if (field.field() == kAddDummyPrefix) stored_dummy_prefix_ = field.integer() != 0;
    if (field.field() == kRemoveExtraSpaces) removes_extra_spaces_ = field.integer() != 0;
  }
}

void SentencePieceModel::check_pieces(const std::string& source) {
  std::vector<std::string_view> user_defined;
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    if (pieces_[id].kind == PieceKind::unknown) unk_ = static_cast<std::int32_t>(id);
    if (pieces_[id].kind == PieceKind::user_defined) user_defined.push_back(pieces_[id].text);
  }
  if (unk_ < 0)
    throw ModelError(fmt::format("{}: no valid sentencepiece model: it has no unknown piece", source));
  // In sorted order the pieces that are prefixes of one lie before it, each a prefix of the next.
  std::sort(user_defined.begin(), user_defined.end());
  std::vector<std::string_view> prefixes;
  for (const std::string_view piece : user_defined) {
    while (!prefixes.empty() && !piece.starts_with(prefixes.back())) prefixes.pop_back();
    prefixes.push_back(piece);
    if (prefixes.size() > kMaxNestedPieces) {
      throw ModelError(
          fmt::format("{}: more than {} user-defined pieces that begin alike", source, kMaxNestedPieces));
    }
  }
}

void SentencePieceModel::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::vector<int> out;
  const auto status = library_->processor.Encode(absl::string_view(text.data(), text.size()), &out);
  if (!status.ok())
    throw ItemError(ErrorCode::invalid_value, "the text cannot be tokenized: " + status.ToString());
  ids.insert(ids.end(), out.begin(), out.end());
}

std::optional<std::int32_t> SentencePieceModel::find(std::string_view piece) const {
  const auto found = library_->ids.find(piece);
  return found == library_->ids.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::int32_t> SentencePieceModel::bos() const {
  return id_or_none(library_->processor.bos_id());
}
std::optional<std::int32_t> SentencePieceModel::eos() const {
  return id_or_none(library_->processor.eos_id());
}
std::optional<std::int32_t> SentencePieceModel::pad() const {
  return id_or_none(library_->processor.pad_id());
}

}  // namespace mmbatch
