#pragma once

#include <string>
#include <utility>

#include "engine/weights/tensor.h"

namespace mmbatch::quantized {

/// Part of a matrix: whole rows, or a piece of one row.
struct Part {
  std::size_t row, rows;
  std::size_t column, columns;
};

/// A stored form that is read as parts of a matrix.
class RowsForm : public StoredForm {
 public:
  RowsForm(std::string name, std::size_t columns, std::size_t bytes)
      : name_(std::move(name)), columns_(columns), bytes_(bytes) {}

  std::string_view name() const final { return name_; }
  std::size_t bytes() const final { return bytes_; }
  void read(std::size_t begin, std::size_t count, float* out) const final;

 protected:
  /// @param out [part.rows, part.columns] without gaps
  virtual void read_part(const Part& part, float* out) const = 0;
  std::size_t columns() const { return columns_; }

 private:
  std::string name_;
  std::size_t columns_;
  std::size_t bytes_;
};

}  // namespace mmbatch::quantized
