[VapourSynth Manifest V1]
librifers
