<?php

declare(strict_types=1);

// Hold, order, payment: php examples/shop.php

use Stockade\Engine;
use Stockade\Exception\InsufficientStock;

require_once __DIR__ . '/../autoload.php';

$engine = Engine::open('sqlite::memory:');
$lamp = $engine->createProduct('Lamp', '19.99', 5);

// Two units are kept for this buyer for a minute.
$hold = $engine->createHold($lamp->id, 2, ttl: 60, key: 'cart-77');
$order = $engine->createOrder($hold->id, $lamp->id);
$engine->recordPayment('success', paymentToken: $order->paymentToken, key: 'evt-1');

try {
    $engine->createHold($lamp->id, 4);
} catch (InsufficientStock $error) {
    echo "{$error->available} left\n";
}
echo "order {$engine->order($order->id)->status->value}, {$engine->product($lamp->id)->sold} sold\n";
