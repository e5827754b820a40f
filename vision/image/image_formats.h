#pragma once

#include "vision/image/image_bytes.h"
#include "vision/image/image_header.h"

namespace mmbatch::image_formats {

// One pair of functions per format, behind read_image_header() and check_image_complete(); each in the file
// of its name. All throw ItemError as those do.

ImageHeader read_png(const ImageBytes& bytes);   // PNG 1.2, ISO/IEC 15948
ImageHeader read_jpeg(const ImageBytes& bytes);  // ITU-T T.81 annex B
ImageHeader read_webp(const ImageBytes& bytes);  // RFC 9649
ImageHeader read_bmp(const ImageBytes& bytes);   // BITMAPINFOHEADER and the OS/2 core header
ImageHeader read_tiff(const ImageBytes& bytes);  // TIFF 6.0

void check_png(const ImageBytes& bytes);
void check_jpeg(const ImageBytes& bytes);
void check_webp(const ImageBytes& bytes);
void check_bmp(const ImageBytes& bytes);
void check_tiff(const ImageBytes& bytes);

/// The orientation in an EXIF block, which is a TIFF file without pixels; 1 when there is none or the block
/// is damaged: a picture is not refused for its metadata.
int exif_orientation(const ImageBytes& exif);

/// Where the tag ExtraSamples of a TIFF file keeps its first 16-bit value; 0 when it has none, or keeps it
/// outside of its own entry, where a hostile file may keep something else.
std::size_t tiff_extra_samples_at(const ImageBytes& bytes);

}  // namespace mmbatch::image_formats
