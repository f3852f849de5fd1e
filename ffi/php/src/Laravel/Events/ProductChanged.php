<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** What a product is was changed. */
final class ProductChanged extends Message
{
}
