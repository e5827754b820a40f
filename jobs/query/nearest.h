#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mmbatch {

class Database;

/// An embedding that others are compared with. Those of another model mean something else.
struct NearestTarget {
  std::vector<float> embedding;
  std::int64_t model_key = 0;
  std::int64_t result_key = 0;  // whose embedding it is, which is not its own neighbour; 0: nobody's
};

/// The stored embedding of an item, written as "job/id" or "id", in each item's latest outcome; none when no
/// item with an embedding has this name.  @throws UsageError that lists them when several are, DatabaseError
std::optional<NearestTarget> find_embedding(const std::filesystem::path& database, const std::string& item);

/// The model that made the newest embeddings.
struct EmbeddingModel {
  std::int64_t key = 0;
  std::string folder;
  std::string fingerprint;
  std::string precision;  // such as "int8"
};
/// @throws UsageError when there are no embeddings, DatabaseError
EmbeddingModel embedding_model(const std::filesystem::path& database);

/// Gives a connection the SQL function cosine(vector, vector): of float32 blobs, NULL for blobs that cannot
/// be compared.
void add_cosine(Database& database);

}  // namespace mmbatch
