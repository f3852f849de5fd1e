<?php

declare(strict_types=1);

// Holds and orders through a running engine: arguments are the package's folder and the
// engine's URL. Prints what was loaded for it.

require "{$argv[1]}/autoload.php";

use Stockade\ClientFactory;

$stock = ClientFactory::connect($argv[2]);
$lamp = $stock->createProduct('Lamp', '19.99', 5);
$hold = $stock->createHold($lamp->id, 2);
$order = $stock->createOrder($hold->id, $lamp->id);
$stock->recordPayment('paid', paymentToken: $order->paymentToken);
echo json_encode([
    'status' => $stock->order($order->id)->status,
    'sold' => $stock->product($lamp->id)->sold,
    'extensions' => array_map(strtolower(...), get_loaded_extensions()),
    'ffi' => ini_get('ffi.enable'),
    'classes' => array_values(array_filter(
        [...get_declared_classes(), ...get_declared_traits()],
        static fn (string $class): bool => str_starts_with($class, 'FFI') || str_contains($class, 'Native')
            || $class === 'Stockade\\Engine'
    )),
], JSON_THROW_ON_ERROR);
