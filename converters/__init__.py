"""The compiler of edge-lstm: Keras model to integers, ``.tflite`` and C.

Data flows one way: ``keras_reader`` makes a ``Network``, ``calibrate`` its ranges,
``quantize`` a ``QuantizedNetwork``; the writers turn that into bytes and into C, and
``integer_execution`` runs it bit for bit.
"""
