#include "engine/decoder/encoded_rows.h"

#include <algorithm>

namespace mmbatch {

EncodedRows take_encoded_rows(const StepBatch& batch, const KvPool& pool, StepBatch& rest) {
  EncodedRows encoded;
  encoded.places.resize(pool.groups());
  rest.blocks = batch.blocks;
  rest.bidirectional = batch.bidirectional;
  for (const StepSequence& sequence : batch.sequences) {
    const std::size_t begin = sequence.first_index, end = begin + sequence.count;
    const std::size_t border = std::clamp(sequence.encoded, begin, end);
    for (std::size_t i = begin; i < border; ++i) {
      encoded.rows.push_back(batch.features[sequence.first_row + i - begin]);
      for (std::size_t g = 0; g < pool.groups(); ++g) {
        const std::int32_t* table = &batch.blocks[sequence.first_block + g * sequence.table_blocks];
        encoded.places[g].push_back({table[i / pool.block_tokens()], i % pool.block_tokens()});
      }
    }
    if (border == end) continue;
    StepSequence own = sequence;
    own.first_row = rest.rows();
    own.first_index = border;
    own.count = end - border;
    rest.sequences.push_back(own);
    const std::size_t first = sequence.first_row + border - begin, last = sequence.first_row + sequence.count;
    rest.ids.insert(rest.ids.end(), &batch.ids[first], batch.ids.data() + last);
    rest.positions.insert(rest.positions.end(), &batch.positions[first], batch.positions.data() + last);
    rest.features.insert(rest.features.end(), &batch.features[first], batch.features.data() + last);
  }
  return encoded;
}

}  // namespace mmbatch
