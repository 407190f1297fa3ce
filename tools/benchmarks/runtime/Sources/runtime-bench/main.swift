// Strata's side of tools/benchmarks/peers.py: a server on its standard input and output, so that the
// script can measure it and its peers in turn.
//
// A request is a line of words with tabs between them, and so is the answer, `ok` and what was asked for,
// or `error` and the reason:
//
//   load ID MODEL INPUTS STEPS BATCH THREADS  a model file, and a file of float32 values to run it on
//   outputs ID FILE                           write the outputs there, float32 values
//   time ID SECONDS                           microseconds of a call, on average over this long
//   stream ID SECONDS                         the same, each call going on where the last one ended
//   unload ID
//   peak THREADS                              operations in a second
//   bandwidth BYTES THREADS                   bytes in a second, of so many that are read again and again
//   machine                                   the instruction sets of the kernels and of the floor
//   quit

import Foundation

var server = Server()
while let request = readLine(), request != "quit" {
  FileHandle.standardOutput.write(Data((server.answer(request) + "\n").utf8))
}
