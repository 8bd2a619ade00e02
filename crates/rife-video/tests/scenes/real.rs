//! Real clips, whose cuts were found by looking at their frames.
