<?php

declare(strict_types=1);

namespace Lumen\KlaviyoHeaders;

use Shopware\Core\Framework\Plugin;

class KlaviyoHeaders extends Plugin
{
}
