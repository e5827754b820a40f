#include "pipeline/documents/parts_counter.h"

#include <span>

#include "jobs/media/media.h"
#include "vision/document/document.h"

namespace mmbatch {

PartsCounter parts_counter() {
  return [](const Item::Image& file, Item::Shows shows) -> FileParts {
    const std::vector<unsigned char> bytes = read_image(file);
    const DocumentKind kind = shows == Item::Shows::video ? DocumentKind::video : DocumentKind::pages;
    const DocumentInfo info = read_document_info(std::as_bytes(std::span(bytes)), kind);
    return {info.pages, info.seconds};
  };
}

}  // namespace mmbatch
