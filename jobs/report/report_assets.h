#pragma once

namespace mmbatch {

/// Style sheet and script of a report: assets/report.css and assets/report.js, embedded when the program is
/// built. The script reads the rows from the element `data` and the pictures
/// from `thumbnails`, and puts text into the page only as text.
extern const char* const kReportStyle;
extern const char* const kReportScript;

}  // namespace mmbatch
