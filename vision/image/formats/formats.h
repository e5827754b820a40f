#pragma once

#include "vision/image/formats/image_bytes.h"
#include "vision/image/image.h"
#include "vision/image/image_header.h"

namespace mmbatch::image_formats {

// The functions of a format are in the file of its name, behind read_image_header(),
// check_image_complete() and check_image_work(). All throw ItemError as those do.

ImageHeader read_png(const ImageBytes& bytes);       // PNG 1.2, ISO/IEC 15948
ImageHeader read_jpeg(const ImageBytes& bytes);      // ITU-T T.81 annex B
ImageHeader read_webp(const ImageBytes& bytes);      // RFC 9649
ImageHeader read_bmp(const ImageBytes& bytes);       // BITMAPINFOHEADER … V5, and the OS/2 core header
ImageHeader read_tiff(const ImageBytes& bytes);      // TIFF 6.0
ImageHeader read_gif(const ImageBytes& bytes);       // GIF89a
ImageHeader read_heif(const ImageBytes& bytes);      // ISO/IEC 23008-12: HEIC and AVIF
ImageHeader read_jxl(const ImageBytes& bytes);       // ISO/IEC 18181
ImageHeader read_jpeg2000(const ImageBytes& bytes);  // ITU-T T.800: JP2 and bare code streams

void check_png(const ImageBytes& bytes);
void check_jpeg(const ImageBytes& bytes);
void check_webp(const ImageBytes& bytes);
void check_bmp(const ImageBytes& bytes);
void check_tiff(const ImageBytes& bytes);

void check_jpeg_work(const ImageBytes& bytes, const ImageHeader& header);
void check_tiff_work(const ImageBytes& bytes, const ImageHeader& header);

/// The pixels of a BMP file: any bit masks, palettes, run lengths.
/// @throws ItemError image_unreadable when some are missing and `truncated` says so
Image decode_bmp(const ImageBytes& bytes, TruncatedImages truncated);

/// The orientation in an EXIF block, which is a TIFF file without pixels; 1 when there is none or the block
/// is damaged: a picture is not refused for its metadata.
int exif_orientation(const ImageBytes& exif);

}  // namespace mmbatch::image_formats
