#pragma once

#include <cstddef>
#include <span>

#include "engine/kernels/blocks/grouped_panel.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/weights/matrix_part.h"

namespace mmbatch {

/// How panels hold a grouping's small numbers; not those of whole rows, nor floats.
GroupedPanel grouped_panel_of(const Grouping& grouping);

/// One kernel for each of groupings(), in the same order.
std::span<const MatmulKernel> grouped_kernels();
const MatmulKernel& grouped_kernel(const Grouping& grouping);

/// The small numbers that a matrix is made of, or null: it is stored as floats, or its rows are not whole
/// groups of the stored tensor.
const Grouping* grouping_of(const MatrixPart& part);

/// Rows [first, first + count) of a part for which grouping_of() is not null, as a tile; inputs in the form's
/// order().
/// @throws ModelError where a scale is not finite
void pack_groups(const MatrixPart& part, std::size_t first, std::size_t count, std::byte* packed);

/// Whether the scales of a stored tile are finite.
bool has_finite_scales(const Grouping& grouping, const std::byte* tile, std::size_t in);

}  // namespace mmbatch
