#include "engine/weights/quantized/rows_form.h"

#include <algorithm>

namespace mmbatch::quantized {

void RowsForm::read(std::size_t begin, std::size_t count, float* out) const {
  for (const std::size_t end = begin + count; begin < end;) {
    Part part{begin / columns_, 1, begin % columns_, 0};
    if (part.column == 0 && end - begin >= columns_) {
      part.rows = (end - begin) / columns_;
      part.columns = columns_;
    } else {
      part.columns = std::min(columns_ - part.column, end - begin);
    }
    read_part(part, out);
    begin += part.rows * part.columns;
    out += part.rows * part.columns;
  }
}

}  // namespace mmbatch::quantized
