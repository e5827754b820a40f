#pragma once

#include "jobs/item/job.h"

namespace mmbatch {

/// Opens documents and videos to say how much they hold, each in a helper process. Thread-safe.
PartsCounter parts_counter();

}  // namespace mmbatch
