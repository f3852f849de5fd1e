<?php

declare(strict_types=1);

// One request of benches/drivers.php: so many holds, one after the other.

use Stockade\ClientFactory;

require_once __DIR__ . '/../../autoload.php';

$client = ClientFactory::connect($_SERVER['STOCKADE_STORE'], [], $_SERVER['STOCKADE_DRIVER']);
for ($call = 0; $call < (int) $_SERVER['STOCKADE_CALLS']; $call++) {
    $client->createHold($_SERVER['STOCKADE_PRODUCT'], 1);
}
echo 'held';
